"""Computes running means and variances over time: of the past of a session, not of the whole recording."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

MEMORY = 250
"""Motion frames (10 s) after which a frame counts 1 / e as much as the newest."""

PRIOR = 5
"""Motion frames (0.2 s) that the prior counts as. It never fades: after long silence, noise is amplified to at most
17 dB above speech of the prior's level, and speech a quarter as loud still comes out within 1.1 dB."""


@dataclass(slots=True)
class Moments:
    """Sums over the motion frames so far, older ones fading."""

    weight: Tensor  # (B, 1)
    total: Tensor  # (B, C): of the frames' means
    squares: Tensor  # (B, C): of the frames' mean squares

    @classmethod
    def empty(cls, batch: int, channels: int, device: torch.device) -> Moments:
        return cls(*(torch.zeros(batch, size, device=device) for size in (1, channels, channels)))


def running_moments(x: Tensor, moments: Moments, prior: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Returns mean and variance ``(B, T, C)`` at each motion frame of ``x`` ``(B, T, C, N)``: of itself and its past.

    ``prior`` is the mean and variance ``(C,)`` before the first frame. ``moments`` are updated in place.
    """
    x = x.float()
    frames = x.shape[1]
    step = torch.arange(frames, device=x.device)
    age = (step[:, None] - step).clamp(min=0)
    fade = torch.exp(-age / MEMORY).tril()  # (T, T)
    before = torch.exp(-(step[:, None] + 1.0) / MEMORY)  # (T, 1)
    mean, variance = prior
    weight = fade.sum(-1, keepdim=True) + before * moments.weight[:, None]  # (B, T, 1)
    total = fade @ x.mean(-1) + before * moments.total[:, None]  # (B, T, C)
    squares = fade @ x.square().mean(-1) + before * moments.squares[:, None]
    moments.weight, moments.total, moments.squares = weight[:, -1], total[:, -1], squares[:, -1]
    at = (total + PRIOR * mean) / (weight + PRIOR)
    power = (squares + PRIOR * (variance + mean.square())) / (weight + PRIOR)
    return at, (power - at.square()).clamp(min=0)


def speech_noise(samples: int) -> Tensor:
    """Makes noise of speech's long-term spectrum and unit variance, ``(samples,)``; the same at every call.

    Flat to 500 Hz and 9 dB an octave down from there, at 16 kHz (Byrne et al. 1994, figure 2, roughly).
    """
    generator = torch.Generator().manual_seed(0)
    spectrum = torch.fft.rfft(torch.randn(samples, generator=generator))
    hertz = torch.linspace(0, 8000, len(spectrum))
    noise: Tensor = torch.fft.irfft(spectrum / (1 + (hertz / 500) ** 2) ** 0.75, samples)
    return noise / math.sqrt(float(noise.square().mean()))
