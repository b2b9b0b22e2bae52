"""Encodes speech for the edge preset: causal convolutions from 100 mel frames a second to 25 features a second.

The encoder looks back about half a second and never ahead; the lookahead of a window profile comes from the Conformer,
which sees the features of the frames after the one that it generates. So one encoder serves every profile.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mytalk.presets import SpeechPreset
from mytalk.runtime.graph_module import GraphModule, GraphSpec
from mytalk.speech.filters import MELS
from mytalk.speech.interfaces import Encoder
from mytalk.speech.phone_posteriors import PHONES
from mytalk.speech.timing import MEL_PER_MOTION

_PHONE_ROWS = 12  # 120 ms


@dataclass(slots=True)
class EncoderState:
    """Holds what the convolutions still need of the past: one tail ``(B, C, k)`` a layer, in the order they run."""

    tails: list[Tensor] = field(default_factory=list)


class CausalConv(nn.Module):
    """Convolves ``(B, C, T)`` to ``(B, C', T / stride)`` without seeing past its input's end."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels_in, channels_out, kernel, stride, dilation=dilation)
        self.left = (kernel - 1) * dilation + 1 - stride
        self.channels_in = channels_in

    def forward(self, x: Tensor, tail: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = F.pad(x, (self.left, 0)) if tail is None else torch.cat([tail, x], dim=-1)
        return self.conv(x), x[..., x.shape[-1] - self.left :]


class CausalBlock(nn.Module):
    """Normalises, convolves causally (dilated), applies GELU, mixes channels, and adds the input."""

    def __init__(self, channels: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.conv = CausalConv(channels, channels, kernel, dilation=dilation)
        self.mix = nn.Conv1d(channels, channels, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, tail: Tensor | None = None) -> tuple[Tensor, Tensor]:
        hidden, tail = self.conv(self.norm(x.transpose(1, 2)).transpose(1, 2), tail)
        return x + self.dropout(self.mix(F.gelu(hidden))), tail


class SpeechEncoder(GraphModule, Encoder[EncoderState]):
    """Encodes log-mel ``(B, 4 T, 80)`` to features ``(B, T, D)``, 25 a second.

    With the front ``mel_phones``, ``(B, 4 T, 122)``: phones come in where 25 features a second are left of the mel.
    """

    def __init__(self, preset: SpeechPreset) -> None:
        super().__init__()
        self.width = width = preset.width
        self.stem = nn.ModuleList(
            [CausalConv(MELS, width, 5), CausalConv(width, width, 4, 2), CausalConv(width, width, 4, 2)]
        )
        self.phones = CausalConv(PHONES, width, _PHONE_ROWS, MEL_PER_MOTION) if preset.front == "mel_phones" else None
        self.blocks = nn.ModuleList(
            CausalBlock(width, preset.kernel, dilation, preset.dropout) for dilation in preset.dilations
        )
        self.out = nn.LayerNorm(width)

    def start(self, batch: int = 1) -> EncoderState:
        weight = self.out.weight
        phones = [] if self.phones is None else [self.phones]
        convs = [*self.stem, *phones, *(block.conv for block in self.blocks)]
        return EncoderState([weight.new_zeros(batch, conv.channels_in, conv.left) for conv in convs])

    def forward(self, mel: Tensor, state: EncoderState | None = None) -> Tensor:
        if mel.shape[1] % MEL_PER_MOTION:
            raise ValueError(f"mel frames must come in fours, one motion frame each: got {mel.shape[1]}")
        if state is None:
            return self._encode(mel)[0]
        out, *state.tails = self._encode(mel, *state.tails)
        return out

    def graph_spec(self) -> GraphSpec:
        """Makes the streaming encoder a graph: features of a front, and a state, to features and the state after."""
        tails = {f"tail{index}": tail for index, tail in enumerate(self.start().tails)}
        mel = self.out.weight.new_zeros(1, MEL_PER_MOTION, MELS + (0 if self.phones is None else PHONES))
        return GraphSpec(self._encode, {"mel": mel, **tails}, {"mel": 2, **dict.fromkeys(tails, 1)}, tuple(tails))

    def _encode(self, mel: Tensor, *tails: Tensor) -> tuple[Tensor, ...]:
        """Returns features, and the tails that the next chunk needs; without tails, from a recording's start."""
        before = iter(tails)
        kept: list[Tensor] = []
        x, phones = mel[..., :MELS].transpose(1, 2), mel[..., MELS:].transpose(1, 2)  # (B, 80, 4 T), (B, 0 or 42, 4 T)
        for layer in self.stem:
            x, tail = layer(x, next(before, None))
            x = F.gelu(x)
            kept.append(tail)
        if self.phones is not None:
            heard, tail = self.phones(phones, next(before, None))
            x = x + heard
            kept.append(tail)
        for block in self.blocks:  # (B, D, T)
            x, tail = block(x, next(before, None))
            kept.append(tail)
        return self.out(x.transpose(1, 2)), *kept  # (B, T, D)
