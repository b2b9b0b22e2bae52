"""Defines the denoiser's backbone: Conformer blocks with speech added and identity attended to. Gulati et al. 2020."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mytalk.motion.memory import Past, past_shapes
from mytalk.presets import MotionPreset
from mytalk.transformer import FeedForward, SelfAttentionLayers

BlockPast = tuple[Tensor, Tensor, Tensor]
"""Keys ``(B, H, D, T)``, values ``(B, H, T, D)`` and what the convolution sees ``(B, T, C)`` of frames in one block."""

_HIDDEN = -1e9  # added to the score of what is not seen


@dataclass(frozen=True, slots=True)
class View:
    """Says which frames a window's frames see, and where they stand; the same in every block.

    A known frame sees known ones up to its own: so what is remembered of it does not depend on what follows. A frame
    to be made sees all others to be made, too. None sees further back than a window.
    """

    bias: Tensor  # (B, 1, T, P + T): 0 where a frame sees another, else `_HIDDEN`
    cosines: Tensor  # (B, 1, T, D / 2) of rotary positions
    sines: Tensor
    valid: Tensor | None  # (B, T) bool: rows that are not padding; None = all

    def turn(self, x: Tensor) -> Tensor:
        """Applies rotary positions to ``(B, H, T, D)``. Su et al. 2021, eq. 34, halves rotated."""
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * self.cosines - b * self.sines, a * self.sines + b * self.cosines], dim=-1)


def view_of(known: Tensor, valid: Tensor | None, past: Past | None, preset: MotionPreset, dtype: torch.dtype) -> View:
    """Computes the view of a window: which rows are ``known`` ``(B, T)`` and which are ``valid``, known ones first and
    padding last."""
    frame = torch.arange(known.shape[1], device=known.device)
    age = frame[:, None] - frame  # (T, T): of what is seen
    seen = (age < preset.window) & (~known[:, :, None] | (known[:, None] & (age >= 0)))  # (B, T, T)
    if valid is not None:
        seen = seen & valid[:, None]
    position = frame[None] if past is None else past.end[:, None] + frame
    if past is not None:
        ring = past.keys.shape[-1]
        older = (past.end[:, None] - 1 - torch.arange(ring, device=known.device)) % ring  # frames before the last
        remembered = (older < past.frames[:, None])[:, None] & (frame[:, None] + 1 + older[:, None] < preset.window)
        seen = torch.cat([remembered, seen], dim=-1)
    bias = torch.where(seen, 0.0, _HIDDEN)[:, None].to(dtype)
    angle = _angles(position, preset.width // preset.heads // 2)[:, None]
    return View(bias, angle.cos().to(dtype), angle.sin().to(dtype), valid)


def no_past(rows: int, preset: MotionPreset, like: Tensor) -> Past:
    """Makes the past of ``rows`` sessions that remember nothing, on the device and in the number type of ``like``."""
    start = torch.zeros(rows, dtype=torch.long, device=like.device)
    keys, values, convolved = (like.new_zeros(rows, *shape) for shape in past_shapes(preset))
    return Past(keys, values, convolved, start, start.clone())


def _angles(position: Tensor, half: int) -> Tensor:
    """Returns rotary angles ``(B, T, half)`` of frame numbers, exact however long a session is: whole turns are taken
    away in 64 bits."""
    rate = 10_000.0 ** (-torch.arange(half, device=position.device).double() / half) / (2 * math.pi)
    turns = position[..., None].double() * rate
    return ((turns - turns.round()) * (2 * math.pi)).float()


class SelfAttention(SelfAttentionLayers):
    """Attends over a window's frames and those remembered before it, with rotary positions."""

    def forward(self, x: Tensor, view: View, past: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor, Tensor]:
        """Transforms ``(B, T, C)``, given keys ``(B, H, D, P)`` and values ``(B, H, P, D)`` of the past; returns it
        with keys and values of its own."""
        rows, frames, _ = x.shape
        qkv = self.qkv(self.norm(x)).reshape(rows, frames, 3, self.heads, -1)  # a graph keeps what unflatten makes of T
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, H, T, D)
        q, k = view.turn(q), view.turn(k)
        keys = k.transpose(-1, -2)
        if past is None:
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=view.bias)
        else:
            scores = torch.cat([q @ past[0], q @ keys], dim=-1) * q.shape[-1] ** -0.5 + view.bias
            share, ring = scores.softmax(-1), past[0].shape[-1]
            mixed = share[..., :ring] @ past[1] + share[..., ring:] @ v
        return self.dropout(self.out(mixed.transpose(1, 2).flatten(-2))), keys, v


class CrossAttention(nn.Module):
    """Attends from frames to identity tokens."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:  # (B, T, C), (B, N, C) -> (B, T, C) or (B, 1, C)
        if tokens.shape[1] == 1 and not self.training:  # training wants a gradient, 0, for every parameter
            return self.out(self.kv(tokens).chunk(2, dim=-1)[1])  # type: ignore[no-any-return]  # all of one answer
        q = self.q(self.norm(x)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = self.kv(tokens).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.dropout(self.out(mixed.transpose(1, 2).flatten(-2)))  # type: ignore[no-any-return]


class Convolution(nn.Module):
    """Applies pointwise, gate, depthwise over the frames so far, pointwise. Layer norm where the original has batch
    norm: windows differ in length and sessions share a batch. Final frames must not depend on those after them."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.before = kernel - 1  # frames before its own that one sees
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel, groups=width)
        self.inner_norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor | None, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """Transforms ``(B, T, C)``, given what is seen ``(B, kernel - 1, C)`` of the past; returns it with what is
        seen of it."""
        seen = F.glu(self.gate(self.norm(x)), dim=-1)
        if valid is not None:
            seen = seen * valid[..., None]
        whole = F.pad(seen, (0, 0, self.before, 0)) if past is None else torch.cat([past, seen], dim=1)
        hidden = self.depthwise(whole.transpose(1, 2)).transpose(1, 2)
        return self.dropout(self.out(F.silu(self.inner_norm(hidden)))), seen


def projection(width_in: int, width: int) -> nn.Sequential:
    """Builds the MLP that takes a condition to the Conformer's width."""
    return nn.Sequential(nn.Linear(width_in, width), nn.SiLU(), nn.Linear(width, width))


class OwnConditions(nn.Module):
    """Projects speech ``(B, T, D)``, encoded time ``(B, T, C)`` and identity ``(B, E)`` for one block."""

    def __init__(self, width: int, speech: int, person: int | None) -> None:
        super().__init__()
        self.time = nn.Linear(width, width)
        self.speech = projection(speech, width)
        self.identity = projection(person, width) if person else None

    def forward(self, speech: Tensor, time: Tensor, person: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns what is added to the block's input ``(B, T, C)``, and what it attends to ``(B, 1, C)``."""
        tokens = self.identity(person)[:, None] if self.identity is not None else None
        return self.speech(speech) + self.time(time), tokens


class ConformerBlock(nn.Module):
    """Applies half a feed-forward, self-attention, attention to the identity, convolution, half a feed-forward."""

    def __init__(self, preset: MotionPreset) -> None:
        super().__init__()
        width, dropout = preset.width, preset.dropout
        cross = preset.conditioning == "cross"
        self.ffn_in = FeedForward(width, preset.ffn, dropout)
        self.attention = SelfAttention(width, preset.heads, dropout)
        self.identity = CrossAttention(width, preset.heads, dropout) if cross else None
        self.convolution = Convolution(width, preset.kernel, dropout)
        self.ffn_out = FeedForward(width, preset.ffn, dropout)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, x: Tensor, condition: Tensor, tokens: Tensor | None, view: View, past: BlockPast | None
    ) -> tuple[Tensor, BlockPast]:
        """Transforms ``x`` with ``condition``, both ``(B, T, C)``; attends to ``tokens`` ``(B, N, C)``. Returns it with
        what of its frames is remembered."""
        x = x + condition
        x = x + 0.5 * self.ffn_in(x)
        attended, keys, values = self.attention(x, view, None if past is None else past[:2])
        x = x + attended
        if self.identity is not None and tokens is not None:
            x = x + self.identity(x, tokens)
        convolved, seen = self.convolution(x, view.valid, None if past is None else past[2])
        x = x + convolved
        x = x + 0.5 * self.ffn_out(x)
        return self.norm(x), (keys, values, seen)
