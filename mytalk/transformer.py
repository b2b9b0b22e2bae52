"""Defines layers that the speech encoder's Conformer and the denoiser's share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SelfAttentionLayers(nn.Module):
    """Holds the layers of one multi-head self-attention; what a token attends to is the subclass's."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)


class FeedForward(nn.Module):
    """Applies norm, up, SiLU, down to ``(..., width)``. Gulati et al. 2020, figure 4."""

    def __init__(self, width: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, inner)
        self.down = nn.Linear(inner, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.down(F.silu(self.up(self.norm(x)))))  # type: ignore[no-any-return]


def rotary(x: Tensor, first: int = 0) -> Tensor:
    """Applies rotary positions ``first``, ``first + 1``... to ``(B, H, T, D)``. Su et al. 2021, eq. 34, halves
    rotated.

    Positions count from the oldest key in sight, never from the session's start: a float angle loses its fraction
    within a day of live sound.
    """
    half = x.shape[-1] // 2
    rate = 10_000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float32) / half)
    position = torch.arange(first, first + x.shape[-2], device=x.device, dtype=torch.float32)
    angle = position[:, None] * rate  # (T, D / 2)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)
