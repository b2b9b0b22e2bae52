"""Reads and writes a preset's exported graphs: ``graphs.json``, and a ``NAME.onnx`` without weights for each.

A graph belongs to the sizes of a preset, not to one training: weights of the same sizes run by the same graphs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from mytalk.checkpoint import replace_file
from mytalk.errors import WeightsError
from mytalk.presets import Preset
from mytalk.runtime.onnx_graph import ExportedGraph

INDEX = "graphs.json"


def sizes_hash(preset: Preset) -> str:
    """Computes a SHA-256 of all that decides what a preset's graphs calculate."""
    sizes = asdict(preset)
    for name in ("name", "steps"):
        del sizes[name]
    sizes["motion"]["readout"] = preset.motion.readout > 0  # there is one, whatever its share
    del sizes["appearance"]["enough"]
    return hashlib.sha256(json.dumps(sizes, sort_keys=True).encode()).hexdigest()


def has_graphs(folder: Path, preset: Preset) -> bool:
    """Says whether a folder holds graphs for the sizes of a preset."""
    try:
        index = json.loads((folder / INDEX).read_text())
    except (OSError, ValueError):
        return False
    return isinstance(index, dict) and index.get("sizes") == sizes_hash(preset)


def save_graphs(folder: Path, preset: Preset, graphs: Mapping[str, ExportedGraph]) -> None:
    """Writes the graphs of a preset."""
    folder.mkdir(parents=True, exist_ok=True)
    index: dict[str, object] = {"sizes": sizes_hash(preset)}
    for name, graph in graphs.items():
        replace_file(folder / f"{name}.onnx", graph.model)
        index[name] = {
            "sha256": hashlib.sha256(graph.model).hexdigest(),
            "arguments": graph.arguments,
            "state": graph.state,
            "weights": graph.weights,
        }
    replace_file(folder / INDEX, (json.dumps(index, separators=(",", ":")) + "\n").encode())


def read_graphs(folder: Path) -> dict[str, ExportedGraph]:
    """Reads all graphs of a folder that has them. Raises WeightsError where a file is missing or not what was saved."""
    index = json.loads((folder / INDEX).read_text())
    return {name: _read(folder / f"{name}.onnx", entry) for name, entry in index.items() if name != "sizes"}


def _read(path: Path, entry: dict[str, object]) -> ExportedGraph:
    try:
        model = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}); reinstall or copy the folder again") from error
    if hashlib.sha256(model).hexdigest() != entry.pop("sha256"):
        raise WeightsError(f"{path}: damaged (SHA-256 differs); reinstall or copy the folder again")
    weights = {name: tuple(shape) for name, shape in entry["weights"].items()}  # type: ignore[attr-defined]
    return ExportedGraph(model, tuple(entry["arguments"]), weights, entry["state"])  # type: ignore[arg-type]
