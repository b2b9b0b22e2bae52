"""Defines the denoiser's backbone: Conformer blocks with speech added and identity attended to. Gulati et al. 2020."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from mytalk.presets import MotionPreset
from mytalk.transformer import FeedForward, SelfAttentionLayers, rotary


class SelfAttention(SelfAttentionLayers):
    """Attends over a window's frames, with rotary positions."""

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        rows, frames, _ = x.shape
        qkv = self.qkv(self.norm(x)).reshape(rows, frames, 3, self.heads, -1)  # a graph keeps what unflatten makes of T
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, H, T, D / H)
        mask = None if valid is None else valid[:, None, None, :]
        mixed = F.scaled_dot_product_attention(rotary(q), rotary(k), v, attn_mask=mask)
        return self.dropout(self.out(mixed.transpose(1, 2).flatten(-2)))  # type: ignore[no-any-return]


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
    """Applies pointwise, gate, depthwise over time, pointwise. Layer norm where the original has batch norm: windows
    differ in length and sessions share a batch."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.inner_norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        hidden = F.glu(self.gate(self.norm(x)), dim=-1)
        if valid is not None:
            hidden = hidden * valid[..., None]
        hidden = self.depthwise(hidden.transpose(1, 2)).transpose(1, 2)
        return self.dropout(self.out(F.silu(self.inner_norm(hidden))))  # type: ignore[no-any-return]


def projection(width_in: int, width: int) -> nn.Sequential:
    """Builds the MLP that takes a condition to the Conformer's width."""
    return nn.Sequential(nn.Linear(width_in, width), nn.SiLU(), nn.Linear(width, width))


class OwnConditions(nn.Module):
    """Projects speech ``(B, T, D)``, encoded time ``(B, C)`` and identity ``(B, E)`` for one block."""

    def __init__(self, width: int, speech: int, person: int | None) -> None:
        super().__init__()
        self.time = nn.Linear(width, width)
        self.speech = projection(speech, width)
        self.identity = projection(person, width) if person else None

    def forward(self, speech: Tensor, time: Tensor, person: Tensor) -> tuple[Tensor, Tensor | None]:
        """Returns what is added to the block's input ``(B, T, C)``, and what it attends to ``(B, 1, C)``."""
        tokens = self.identity(person)[:, None] if self.identity is not None else None
        return self.speech(speech) + self.time(time)[:, None], tokens


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

    def forward(self, x: Tensor, condition: Tensor, tokens: Tensor | None, valid: Tensor | None) -> Tensor:
        """Transforms ``x`` with ``condition``, both ``(B, T, C)``; attends to ``tokens`` ``(B, N, C)`` where
        ``valid`` ``(B, T)``."""
        x = x + condition
        x = x + 0.5 * self.ffn_in(x)
        x = x + self.attention(x, valid)
        if self.identity is not None and tokens is not None:
            x = x + self.identity(x, tokens)
        x = x + self.convolution(x, valid)
        x = x + 0.5 * self.ffn_out(x)
        return self.norm(x)  # type: ignore[no-any-return]
