"""Attends over the bounded past and the current motion frame: one mask for training, files and live sessions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(slots=True)
class KeyValues:
    """Holds keys and values of the last tokens of a layer; always full length, zeros before the first sample."""

    keys: Tensor  # (B, H, L, C / H)
    values: Tensor  # (B, H, L, C / H)

    @classmethod
    def empty(cls, batch: int, heads: int, lookback: int, width: int, like: Tensor) -> KeyValues:
        """Makes the cache of ``batch`` sessions before their first sample."""
        return cls(*(like.new_zeros(batch, heads, lookback, width // heads) for _ in range(2)))

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Returns all keys and values that the new tokens may see: the past and themselves. The newest ``L`` are
        kept."""
        lookback = self.keys.shape[2]
        keys, values = torch.cat([self.keys, keys], dim=2), torch.cat([self.values, values], dim=2)
        self.keys, self.values = keys[:, :, keys.shape[2] - lookback :], values[:, :, values.shape[2] - lookback :]
        return keys, values


def block_mask(tokens: int, block: int, lookback: int, device: torch.device, position: Tensor | None = None) -> Tensor:
    """Computes which keys each of ``tokens`` queries may see: ``(B or 1, 1, tokens, past + tokens)`` bool.

    A query sees its own block of ``block`` tokens, which arrive together, and the ``lookback`` tokens before it. Where
    a cache of ``past = lookback`` keys stands in front, ``position`` ``(B,)`` says how many of them each row has;
    without it there is no past.
    """
    past = 0 if position is None else lookback
    start = (torch.arange(tokens, device=device) // block * block)[:, None]
    key = torch.arange(-past, tokens, device=device)
    visible = (key >= start - lookback) & (key < start + block)  # (tokens, past + tokens)
    if position is None:
        return visible[None, None]
    return visible & (key >= -position[:, None])[:, None, None, :]


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """Attends from queries ``(B, H, n, D)`` over ``(B, H, past + n, D)`` to ``(B, n, H * D)``."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(-2)
