"""Defines what a window of motion is generated from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mytalk.motion.memory import Past, Remembered
from mytalk.motion.windows import Window

Array = TypeVar("Array")


@dataclass(frozen=True, slots=True)
class Conditions(Generic[Array]):
    """Holds what a window is generated from, as arrays or tensors. ``K`` coefficients, ``D`` speech features, ``E``
    identity features.

    Rows of known motion come first, those to be made after them, padding last. With a ``past`` the rows are those
    alone that it does not hold.
    """

    speech: Array  # (B, T, D)
    upper: Array  # (B, T, 38, 2): upper-face displacement from rest; zeros where unknown; presets may not look
    identity: Array  # (B, E): as the model makes it of a face
    history: Array  # (B, T, K): known motion, zeros elsewhere
    known: Array  # (B, T) bool: which rows of history are known
    valid: Array | None = None  # (B, T) bool: rows that are not padding; None = all
    estimate: Array | None = None  # (B, T, K): motion as a readout has it; None where the model has none
    past: Past | None = None  # what is remembered of the frames before; None: nothing


@dataclass(frozen=True, slots=True)
class MotionRequest:
    """Holds one session's window, ready to be sampled, as a batch of one.

    Its ``T`` rows are the window's last: those to be made, and before them final ones that are not remembered yet.
    """

    window: Window
    noise: NDArray[np.float32]  # (1, T, K)
    conditions: Conditions[NDArray[Any]]  # whose past is one session's
    steps: int

    @property
    def rows(self) -> int:
        """Returns T."""
        return int(self.noise.shape[1])

    @property
    def first(self) -> int:
        """Returns the frame number of the first row."""
        return self.window.first + self.window.rows - self.rows

    @property
    def final(self) -> int:
        """Returns how many rows are final."""
        return self.window.emit.start - self.first


class SampledMotion(NamedTuple):
    """Holds one request's motion, and what is to be remembered of its final rows."""

    motion: NDArray[np.float32]  # (T, K)
    final: Remembered  # of a batch of one, as the model's `MotionMemory` takes it
