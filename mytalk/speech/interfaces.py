"""Defines the two halves of speech features: a frozen front and a trained encoder, each whole or in chunks.

A *front* turns 16 kHz samples into features that are never trained: `LogMel`, or `Wav2Vec2`. An *encoder* turns these
into one feature a motion frame and is trained with the denoiser. Neither sees past the end of the motion frame that it
is at, both give the same for a recording whole or in chunks, and the state between two chunks is a small object of its
own, whose tensors have the session on their first axis.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from torch import Tensor, nn

State = TypeVar("State")


class Front(nn.Module, ABC, Generic[State]):
    """Extracts frozen features from samples. Nothing of it is in a state dict."""

    rate: int
    """Features a motion frame."""
    width: int

    @abstractmethod
    def start(self, batch: int = 1) -> State:
        """Makes the state of ``batch`` sessions before their first sample."""

    @abstractmethod
    def stream(self, samples: Tensor, state: State) -> Tensor:
        """Maps the next samples ``(B, 640 * n)`` to ``(B, rate * n, width)`` and updates the state in place."""

    @abstractmethod
    def offline(self, samples: Tensor) -> Tensor:
        """Maps recordings ``(B, S)`` from their start to ``(B, rate * (S // 640), width)``; equals ``stream``."""


class Encoder(nn.Module, ABC, Generic[State]):
    """Encodes features of a front to one feature a motion frame, ``width`` wide."""

    width: int

    @abstractmethod
    def start(self, batch: int = 1) -> State:
        """Makes the state of ``batch`` sessions before their first sample."""

    @abstractmethod
    def forward(self, features: Tensor, state: State | None = None) -> Tensor:
        """Maps ``(B, rate * T, W)`` to ``(B, T, width)``; with a state, going on where the last chunk ended.

        The state is updated in place. Raises ValueError for features that are not whole motion frames.
        """
