"""Defines what a window of motion is generated from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Conditions:
    """Holds what a window is generated from. ``K`` coefficients, ``D`` speech features, ``E`` identity features."""

    speech: Tensor  # (B, T, D)
    upper: Tensor  # (B, T, 38, 2): upper-face displacement from rest; zeros where unknown; presets may not look
    identity: Tensor  # (B, E): as ``MotionModel.person`` has it
    history: Tensor  # (B, T, K): known motion, zeros elsewhere
    known: Tensor  # (B, T) bool: which rows of history are known
    valid: Tensor | None = None  # (B, T) bool: rows that are not padding; None = all
    estimate: Tensor | None = None  # (B, T, K): motion as a `Readout` has it; None where the model has none


def padded(values: Tensor, batch: int, frames: int) -> Tensor:
    """Pads ``(B, T, ...)`` by so many rows of zeros in both axes."""
    return F.pad(values, (0, 0) * (values.dim() - 2) + (0, frames, 0, batch)) if batch or frames else values
