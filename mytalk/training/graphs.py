"""Writes the graphs of a preset folder, by which it runs without torch."""

from __future__ import annotations

from pathlib import Path

from mytalk.checkpoint import read_preset
from mytalk.graph_export import can_export, export_graphs
from mytalk.graph_files import save_graphs
from mytalk.torch_backend import load_appearance, load_motion


def write_graphs(folder: Path) -> bool:
    """Exports the networks of a preset folder that holds all weights, and says whether they can run as graphs.

    Raises PresetError and WeightsError as `mytalk.load` does.
    """
    sizes = read_preset(folder)
    if sizes.speech.front == "wav2vec2":
        return False
    motion, appearance = load_motion(folder).eval(), load_appearance(folder)
    if not can_export(motion, appearance):
        return False
    save_graphs(folder, sizes, export_graphs(motion, appearance))
    return True
