"""Defines what a window of motion is generated from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from mytalk.motion.windows import Window

Array = TypeVar("Array")


@dataclass(frozen=True, slots=True)
class Conditions(Generic[Array]):
    """Holds what a window is generated from, as arrays or tensors. ``K`` coefficients, ``D`` speech features, ``E``
    identity features."""

    speech: Array  # (B, T, D)
    upper: Array  # (B, T, 38, 2): upper-face displacement from rest; zeros where unknown; presets may not look
    identity: Array  # (B, E): as the model makes it of a face
    history: Array  # (B, T, K): known motion, zeros elsewhere
    known: Array  # (B, T) bool: which rows of history are known
    valid: Array | None = None  # (B, T) bool: rows that are not padding; None = all
    estimate: Array | None = None  # (B, T, K): motion as a readout has it; None where the model has none


@dataclass(frozen=True, slots=True)
class MotionRequest:
    """Holds one session's window, ready to be sampled, as a batch of one."""

    window: Window
    noise: NDArray[np.float32]  # (1, T, K)
    conditions: Conditions[NDArray[Any]]
    steps: int
