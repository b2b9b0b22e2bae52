"""Loads the graphs of a checkpoint folder: both stages on the CPU, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mytalk.appearance.graph_backend import GraphAppearance
from mytalk.checkpoint import read_arrays
from mytalk.errors import WeightsError
from mytalk.face.networks import face_networks
from mytalk.graph_files import read_graphs
from mytalk.motion.graph_backend import GraphMotion
from mytalk.motion.space import MotionSpace
from mytalk.presets import Preset
from mytalk.runtime.onnx_graph import Array, ExportedGraph, Graph
from mytalk.speech.frozen_weights import front_weights, recogniser_weights
from mytalk.speech.graph_extractor import GraphExtractor

_PARTS = {"front": (), "encoder": ("motion",), "denoiser": ("motion",)}  # other graphs are called as their part is


def load_graphs(folder: Path, graphs_folder: Path, preset: Preset) -> tuple[GraphMotion, GraphAppearance]:
    """Loads both stages of a checkpoint folder by the graphs of ``graphs_folder``, and the networks that find faces, in
    threads side by side.

    Raises WeightsError where weights or graphs are missing, damaged or of other sizes.
    """
    exported = read_graphs(graphs_folder)
    parts = {part for name in exported for part in _parts_of(name)}
    stored = {part: read_arrays(folder, part) for part in sorted(parts)}
    with ThreadPoolExecutor(len(exported) + 1) as threads:
        faces = threads.submit(face_networks)
        loading = {name: threads.submit(_load, name, graph, folder, stored) for name, graph in exported.items()}
        space = MotionSpace(*(stored["motion"][f"space.{name}"] for name in ("basis", "scale", "opening")))
        graphs = {name: one.result() for name, one in loading.items()}
        faces.result()
    return assemble(preset, space, graphs)


def assemble(preset: Preset, space: MotionSpace, graphs: Mapping[str, Graph]) -> tuple[GraphMotion, GraphAppearance]:
    """Joins loaded graphs to both stages."""
    readout = graphs.get("readout") if preset.motion.readout else None
    extractor = GraphExtractor(graphs["front"], graphs["encoder"], readout, preset.speech.width)
    motion = GraphMotion(preset.motion, space, extractor, graphs["identity"], graphs["denoiser"])
    return motion, GraphAppearance(preset.appearance, graphs["appearance"])


def _parts_of(name: str) -> tuple[str, ...]:
    """Returns the parts of a checkpoint that a graph takes weights of."""
    return _PARTS.get(name, (name,))


def _load(name: str, exported: ExportedGraph, folder: Path, stored: Mapping[str, dict[str, Array]]) -> Graph:
    weights: dict[str, Array] = {}
    for part in _parts_of(name):
        weights |= {f"{part}/{tensor}": array for tensor, array in stored[part].items()}
    if name == "front":
        weights |= front_weights()
    if name == "readout":
        weights |= {f"recogniser/{tensor}": array for tensor, array in recogniser_weights().items()}
    try:
        return Graph(exported, weights)
    except WeightsError as error:
        raise WeightsError(f"{folder}: {error}") from error
