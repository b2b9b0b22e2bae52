"""What a window of motion is generated from."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a window is generated from. ``K`` coefficients, ``D`` speech features, ``E`` identity features."""

    speech: Tensor  # (B, T, D)
    upper: Tensor  # (B, T, 38, 2): upper-face displacement from rest; zeros where unknown; presets may not look
    identity: Tensor  # (B, E): as ``MotionModel.person`` has it
    history: Tensor  # (B, T, K): known motion, zeros elsewhere
    known: Tensor  # (B, T) bool: which rows of history are known
    valid: Tensor | None = None  # (B, T) bool: rows that are not padding; None = all
    guess: Tensor | None = None  # (B, T, K): motion as a `Readout` has it; None where the model has none


def padded(values: Tensor, rows: int, frames: int) -> Tensor:
    """``(B, T, ...)`` with so many more of both, zeros."""
    return F.pad(values, (0, 0) * (values.dim() - 2) + (0, frames, 0, rows)) if rows or frames else values
