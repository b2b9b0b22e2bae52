"""The two halves of speech: a frozen front and a trained encoder, each whole or in chunks of motion frames.

A *front* turns 16 kHz samples into features that are never trained: `LogMel`, or `Wav2Vec2`. An *encoder* turns these
into one feature a motion frame and is trained with the denoiser. Neither sees past the end of the motion frame that it
is at, neither may tell a recording given whole from the same recording in chunks, and the state between two chunks is
a small object of its own, one row a session.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from torch import Tensor, nn

State = TypeVar("State")


class Front(nn.Module, ABC, Generic[State]):
    """Samples to frozen features. Nothing of it is in a state dict."""

    rate: int
    """Features a motion frame."""
    width: int

    @abstractmethod
    def start(self, rows: int = 1) -> State:
        """The state of ``rows`` sessions that have heard nothing."""

    @abstractmethod
    def stream(self, samples: Tensor, state: State) -> Tensor:
        """The next samples ``(B, 640 * n)`` to ``(B, rate * n, width)``; the state is brought up to date in place."""

    @abstractmethod
    def offline(self, samples: Tensor) -> Tensor:
        """Recordings ``(B, S)`` from their start to ``(B, rate * (S // 640), width)``; equals ``stream``."""


class Encoder(nn.Module, ABC, Generic[State]):
    """Features of a front to one feature a motion frame, ``width`` wide."""

    width: int

    @abstractmethod
    def start(self, rows: int = 1) -> State:
        """The state of ``rows`` sessions that have heard nothing."""

    @abstractmethod
    def forward(self, features: Tensor, state: State | None = None) -> Tensor:
        """``(B, rate * T, W)`` to ``(B, T, width)``; with a state, going on where the last chunk ended.

        The state is brought up to date in place. Raises ValueError for features that are not whole motion frames.
        """
