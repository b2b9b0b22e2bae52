"""The mouth read off a speech recogniser's features: linear, in closed form.

A recogniser that thousands of people trained says the same of a phone whoever speaks it, and a linear map from that to
mouths needs little film; the denoiser, which minutes of film teach, learns its speakers by heart long before. The two
err differently, so what leaves is a mixture: `MotionModel.sample`. `mytalk.training.readout` fits the weights.

The same features tell whether somebody speaks: noise as loud as a voice is none to a recogniser. That is linear too,
and fitted to speech whose pauses are known: `mytalk.training.voice_readout`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mytalk.speech.moonshine import WIDTH, Moonshine, MoonshineState

BACK, AHEAD = 2, 3
"""Motion frames around its own that a mouth is read from."""

LATER = 8
"""Sets of weights: for a mouth after which 0, 1, ... 6 frames were heard, and 7 or more."""

_LIMIT = 6.0  # standard deviations of a feature; further out it is something that training has not heard


class Told(NamedTuple):
    """What is read of ``n`` motion frames."""

    motion: Tensor  # (B, n, K)
    voice: Tensor  # (B, n): about 1 where somebody speaks, about -1 where nobody does; 0 where this was never learned


class Readout(nn.Module):
    """16 kHz samples to motion and voice of the newest frames, each told from all that was heard so far.

    Buffers, stored with the weights: ``mean`` and ``scale`` ``(288,)`` of the features, ``weight`` ``(LATER, 6 * 288,
    K)`` and ``bias`` ``(LATER, K)``, ``voice_weight`` ``(LATER, 6 * 288)`` and ``voice_bias`` ``(LATER,)``.
    """

    def __init__(self, coefficients: int) -> None:
        super().__init__()
        self.recogniser = Moonshine()
        self.mean: Tensor
        self.scale: Tensor
        self.weight: Tensor
        self.bias: Tensor
        self.register_buffer("mean", torch.zeros(WIDTH))
        self.register_buffer("scale", torch.ones(WIDTH))
        self.register_buffer("weight", torch.zeros(LATER, (BACK + 1 + AHEAD) * WIDTH, coefficients))
        self.register_buffer("bias", torch.zeros(LATER, coefficients))
        self.voice_weight: Tensor
        self.voice_bias: Tensor
        self.register_buffer("voice_weight", torch.zeros(LATER, (BACK + 1 + AHEAD) * WIDTH))
        self.register_buffer("voice_bias", torch.zeros(LATER))

    def start(self, frames: int, rows: int = 1) -> MoonshineState:
        """The state of ``rows`` sessions that have heard nothing and will ask for the newest ``frames``."""
        return self.recogniser.start(frames + BACK, rows)

    @torch.no_grad()
    def forward(self, samples: Tensor, state: MoonshineState) -> Told:
        """The next samples ``(B, 640 T)``, T at least 1, to what they say of the newest motion frames."""
        seen = stacked(self.standardise(self.recogniser(samples, state)))
        later = torch.arange(seen.shape[1] - 1, -1, -1, device=seen.device).clamp(max=LATER - 1)
        motion = torch.einsum("bnf,nfk->bnk", seen, self.weight[later]) + self.bias[later]
        return Told(motion, torch.einsum("bnf,nf->bn", seen, self.voice_weight[later]) + self.voice_bias[later])

    def standardise(self, features: Tensor) -> Tensor:
        """Features ``(..., 288)``, zero where nothing was heard and there alone."""
        known = (features != 0).any(-1, keepdim=True)
        return ((features - self.mean) / self.scale).clamp(-_LIMIT, _LIMIT) * known


def stacked(features: Tensor) -> Tensor:
    """``(B, BACK + n, W)`` to the frames around each of the last n, ``(B, n, (BACK + 1 + AHEAD) * W)``; zeros after the
    newest."""
    return F.pad(features, (0, 0, 0, AHEAD)).unfold(1, BACK + 1 + AHEAD, 1).transpose(2, 3).flatten(2)
