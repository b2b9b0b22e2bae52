"""Builds the models of a preset with random weights, for measuring time and memory only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from mytalk.errors import PresetError
from mytalk.motion.model import MotionModel
from mytalk.pipeline import Pipeline
from mytalk.preset_folders import NumberType
from mytalk.presets import PRESETS, Preset
from mytalk.speech.interfaces import Front
from mytalk.torch_backend import new_appearance, place, torch_device


def random_pipeline(
    preset: str | Preset = "paper",
    device: str = "auto",
    dtype: NumberType = "float32",
    front: Front[Any] | None = None,
) -> Pipeline:
    """Builds the models of a preset with random weights, whose output is noise.

    The pipeline's preset says so in its name. ``front`` is the speech front of a preset that hears through wav2vec 2.0;
    without it, the pipeline can do all but hear. Raises PresetError and OptionError as `mytalk.pipeline.load` does.
    """
    sizes = PRESETS.get(preset) if isinstance(preset, str) else preset
    if sizes is None:
        raise PresetError(f"preset {preset!r} is unknown (known: {', '.join(PRESETS)})")
    target, appearance = torch_device(device), new_appearance(sizes, getattr(torch, dtype))
    named = replace(sizes, name=f"{sizes.name} (random weights)")
    return Pipeline(named, *place(sizes, MotionModel(sizes, front), appearance, target, dtype), dtype)
