"""Finds the folder of a preset, and the graphs that its weights run by."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Literal

from mytalk.errors import PresetError
from mytalk.graph_files import has_graphs
from mytalk.presets import PRESETS, Preset

EMBEDDED = Path(str(files("mytalk") / "weights"))

NumberType = Literal["float32", "bfloat16", "float16"]
"""Names of what the denoiser and the appearance model may calculate with."""


def preset_folder(preset: str | Path) -> Path:
    """Finds the folder of a preset's name; any other folder is itself. Raises PresetError where there is none."""
    embedded = EMBEDDED / preset
    if str(preset) in PRESETS and embedded.is_dir():
        return embedded
    if str(preset) in PRESETS:
        raise PresetError(
            f"preset {str(preset)!r} has no weights in the package: train them, and give the folder instead"
        )
    if Path(preset).is_dir():
        return Path(preset)
    raise PresetError(f"{preset}: neither a preset (known: {', '.join(PRESETS)}) nor a checkpoint folder")


def graphs_for(folder: Path, preset: Preset) -> Path | None:
    """Finds the graphs that a folder's weights run by: its own, or those of a preset of the package of its sizes."""
    candidates = (folder, *(EMBEDDED / name for name in PRESETS))
    return next((one for one in candidates if has_graphs(one, preset)), None)
