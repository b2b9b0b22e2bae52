"""Computes the power of sound in frequency bands, window by window: by FFT, or in a graph, which has none, by one
product."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

HOP = 160  # samples, 10 ms
FFT = 512


class BandPower(nn.Module):
    """Maps samples ``(B, W + 160 * (N - 1))`` to the power ``(B, N, C)`` of their windows of W samples. Nothing is
    learned.

    ``window`` ``(W,)``; ``filters`` ``(257, C)``: how much each bin of the spectrum counts in a band.
    """

    def __init__(self, window: Tensor, filters: Tensor) -> None:
        super().__init__()
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("filters", filters, persistent=False)
        self.window: Tensor
        self.filters: Tensor

    def forward(self, samples: Tensor) -> Tensor:
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            return self.by_product(samples)
        frames = samples.unfold(-1, len(self.window), HOP) * self.window
        power: Tensor = torch.fft.rfft(frames, FFT).abs().square() @ self.filters
        return power

    def by_product(self, samples: Tensor) -> Tensor:
        """Computes the same without an FFT: a matrix holds window and waves, of those bins alone that a band has."""
        window, filters = self.window.cpu().numpy().astype(np.float64), self.filters.cpu().numpy()
        used = np.flatnonzero(filters.any(axis=1))
        angles = 2 * math.pi / FFT * np.arange(len(window))[:, None] * used
        waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) * window[:, None]  # (W, 2 U)
        both = np.concatenate([filters[used], filters[used]])  # (2 U, C)
        hops = -(-len(window) // HOP)
        padding = hops * HOP - len(window)
        rows = F.pad(samples, (padding, 0)).reshape(samples.shape[0], -1, HOP)
        frames = torch.cat([rows[:, first : first - hops + 1 or None] for first in range(hops)], dim=-1)[..., padding:]
        spectrum = frames @ torch.from_numpy(waves.astype(np.float32)).to(samples)
        return spectrum.square() @ torch.from_numpy(both).to(samples)
