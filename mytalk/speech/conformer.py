"""Encodes speech as the paper does, made causal: four Conformer layers at 50 Hz and a downsampling convolution to 25
Hz.

Table 9 of MyTalk: 24.6 M (4 layers, 768 wide, FFN 2048, 8 heads, kernel 13, dropout 0.1) and 786 K (kernel 3, stride
2). Its sizes leave room for one feed-forward and one pointwise layer in each, where Gulati et al. 2020 have two.

What differs from the paper, which hears the whole recording before its first frame: the depthwise convolution ends at
its own token, attention sees the motion frame at hand (two tokens) and ``lookback`` motion frames before it, and norms
are over channels, not over time. The downsampling convolution needed no change: with kernel 3, stride 2 and padding 1,
frame n is made of tokens 2n - 1, 2n and 2n + 1, and token 2n + 1 ends where frame n does.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mytalk.presets import SpeechPreset
from mytalk.speech.attention import KeyValues, attend, block_mask
from mytalk.speech.encoder import CausalConv
from mytalk.speech.interfaces import Encoder
from mytalk.transformer import FeedForward, SelfAttentionLayers, rotary

TOKENS = 2
"""Tokens a motion frame: 50 Hz."""


@dataclass(slots=True)
class LayerState:
    """Holds what one layer still needs of the past."""

    cache: KeyValues
    tail: Tensor  # (B, C, kernel - 1)


@dataclass(slots=True)
class ConformerState:
    """Holds what the encoder still needs of the past."""

    position: Tensor  # (B,) tokens so far
    layers: list[LayerState]
    tail: Tensor  # (B, D, 1): the downsampling convolution's


class SelfAttention(SelfAttentionLayers):
    """Attends over the bounded past; positions are rotary, so that only distances count."""

    def forward(self, x: Tensor, mask: Tensor, cache: KeyValues | None) -> Tensor:
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, H, n, D / H)
        if cache is not None:
            k, v = cache.extend(k, v)
        mixed = attend(rotary(q, k.shape[2] - q.shape[2]), rotary(k), v, mask)
        return self.dropout(self.out(mixed))  # type: ignore[no-any-return]


class Convolution(nn.Module):
    """Applies depthwise convolution over the past, norm, SiLU, pointwise."""

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.left = kernel - 1
        self.norm = nn.LayerNorm(width)
        self.depthwise = nn.Conv1d(width, width, kernel, groups=width)
        self.inner_norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, tail: Tensor | None) -> tuple[Tensor, Tensor]:
        hidden = self.norm(x).transpose(1, 2)  # (B, C, n)
        hidden = F.pad(hidden, (self.left, 0)) if tail is None else torch.cat([tail, hidden], dim=-1)
        mixed = self.depthwise(hidden).transpose(1, 2)
        return self.dropout(self.out(F.silu(self.inner_norm(mixed)))), hidden[..., hidden.shape[-1] - self.left :]


class ConformerLayer(nn.Module):
    """Applies attention, convolution and a feed-forward, each added to its input."""

    def __init__(self, preset: SpeechPreset) -> None:
        super().__init__()
        width, dropout = preset.hidden, preset.dropout
        self.attention = SelfAttention(width, preset.heads, dropout)
        self.convolution = Convolution(width, preset.kernel, dropout)
        self.ffn = FeedForward(width, preset.ffn, dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor, state: LayerState | None) -> Tensor:
        x = x + self.attention(x, mask, None if state is None else state.cache)
        mixed, tail = self.convolution(x, None if state is None else state.tail)
        if state is not None:
            state.tail = tail
        x = x + mixed
        return self.norm(x + self.ffn(x))  # type: ignore[no-any-return]


class ConformerEncoder(Encoder[ConformerState]):
    """Encodes features ``(B, 2 T, W)``, 50 a second, to ``(B, T, D)``, 25 a second."""

    def __init__(self, preset: SpeechPreset) -> None:
        super().__init__()
        self.width = preset.width
        self.hidden, self.heads, self.lookback = preset.hidden, preset.heads, preset.lookback * TOKENS
        self.left = preset.kernel - 1
        wide_enough = preset.features == preset.hidden
        self.into = nn.Identity() if wide_enough else nn.Linear(preset.features, preset.hidden)
        self.layers = nn.ModuleList(ConformerLayer(preset) for _ in range(preset.layers))
        self.out = nn.Linear(preset.hidden, preset.width)
        self.downsample = CausalConv(preset.width, preset.width, 3, stride=2)

    def start(self, batch: int = 1) -> ConformerState:
        like = self.out.weight
        return ConformerState(
            torch.zeros(batch, dtype=torch.long, device=like.device),
            [
                LayerState(
                    KeyValues.empty(batch, self.heads, self.lookback, self.hidden, like),
                    like.new_zeros(batch, self.hidden, self.left),
                )
                for _ in self.layers
            ],
            like.new_zeros(batch, self.width, self.downsample.left),
        )

    def forward(self, features: Tensor, state: ConformerState | None = None) -> Tensor:
        tokens = features.shape[1]
        if tokens % TOKENS:
            raise ValueError(f"features must come in pairs, one motion frame each: got {tokens}")
        heard = None if state is None else state.position
        mask = block_mask(tokens, TOKENS, self.lookback, features.device, heard)
        x = self.into(features)  # (B, 2 T, C)
        for index, layer in enumerate(self.layers):
            x = layer(x, mask, None if state is None else state.layers[index])
        x = self.out(x).transpose(1, 2)  # (B, D, 2 T)
        x, tail = self.downsample(x, None if state is None else state.tail)
        if state is not None:
            state.position, state.tail = state.position + tokens, tail
        out: Tensor = x.transpose(1, 2)  # (B, T, D)
        return out
