"""Computes the power of sound in frequency bands, window by window: by FFT, or in a graph, which has none, by one
product."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mytalk.speech.filters import FFT, HOP, Bands


class BandPower(nn.Module):
    """Maps samples ``(B, W + 160 * (N - 1))`` to the power ``(B, N, C)`` of their windows of W samples. Nothing is
    learned."""

    def __init__(self, bands: Bands) -> None:
        super().__init__()
        for name, array in bands._asdict().items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)
        self.window: Tensor
        self.filters: Tensor
        self.waves: Tensor
        self.bins: Tensor

    def forward(self, samples: Tensor) -> Tensor:
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            return self.by_product(samples)
        frames = samples.unfold(-1, len(self.window), HOP) * self.window
        power: Tensor = torch.fft.rfft(frames, FFT).abs().square() @ self.filters
        return power

    def by_product(self, samples: Tensor) -> Tensor:
        """Computes the same without an FFT."""
        hops = -(-len(self.window) // HOP)
        padding = hops * HOP - len(self.window)
        rows = F.pad(samples, (padding, 0)).reshape(samples.shape[0], -1, HOP)
        frames = torch.cat([rows[:, first : first - hops + 1 or None] for first in range(hops)], dim=-1)[..., padding:]
        return (frames @ self.waves).square() @ self.bins
