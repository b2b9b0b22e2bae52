"""Reads mouth, voice and closures off a speech recogniser's features: linear, in closed form.

A recogniser that thousands of people trained gives the same features for a phone whoever speaks it, and a linear map
from them to mouths needs little film; the denoiser, which minutes of film teach, overfits its speakers long before. The
two err differently, so what leaves is a mixture: `MotionModel.sample`. `mytalk.training.speech.readout` fits the
weights.

The same features tell whether somebody speaks: to a recogniser, noise as loud as a voice is no voice. They tell p, b
and m too, at which lips meet, and a mouth that is a mean of many does not quite. Both maps are linear, and fitted to
speech whose pauses and phones are known: `mytalk.training.speech.voice_readout`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from mytalk.runtime.graph_module import GraphModule, GraphSpec
from mytalk.speech.moonshine import WIDTH, Moonshine, MoonshineState
from mytalk.speech.state_batching import tensors_of, with_tensors
from mytalk.speech.timing import AHEAD, BACK, TOKEN, TOKENS

DELAYS = 8
"""Sets of weights: for a mouth after which 0, 1, ... 6 frames were heard, and 7 or more."""

DIRECTIONS = 64
"""Principal directions of the features around a frame that a person's correction is made of."""

_LIMIT = 6.0  # standard deviations of a feature; further out it is something that training has not heard


class ReadoutResult(NamedTuple):
    """Holds what is predicted for ``n`` motion frames."""

    motion: Tensor  # (B, n, K)
    voice: Tensor  # (B, n): about 1 where somebody speaks, about -1 where nobody does; 0 where this was never learned
    closure: Tensor  # (B, n): about the share of the frame that is p, b or m; 0 where this was never learned
    context: Tensor  # (B, n, DIRECTIONS): what `mytalk.motion.own_speech` corrects motion by


class Readout(GraphModule):
    """Predicts motion, voice and closures of the newest frames from 16 kHz samples, each from all speech so far.

    Buffers, stored with the weights: ``mean`` and ``scale`` ``(288,)`` of the features, ``weight`` ``(DELAYS, 6 * 288,
    K)`` and ``bias`` ``(DELAYS, K)``, ``voice_weight`` and ``closure_weight`` ``(DELAYS, 6 * 288)``, ``voice_bias`` and
    ``closure_bias`` ``(DELAYS,)``, and ``directions`` ``(6 * 288, DIRECTIONS)``.
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
        self.register_buffer("weight", torch.zeros(DELAYS, (BACK + 1 + AHEAD) * WIDTH, coefficients))
        self.register_buffer("bias", torch.zeros(DELAYS, coefficients))
        self.voice_weight: Tensor
        self.voice_bias: Tensor
        self.register_buffer("voice_weight", torch.zeros(DELAYS, (BACK + 1 + AHEAD) * WIDTH))
        self.register_buffer("voice_bias", torch.zeros(DELAYS))
        self.closure_weight: Tensor
        self.closure_bias: Tensor
        self.register_buffer("closure_weight", torch.zeros(DELAYS, (BACK + 1 + AHEAD) * WIDTH))
        self.register_buffer("closure_bias", torch.zeros(DELAYS))
        self.directions: Tensor
        self.register_buffer("directions", torch.zeros((BACK + 1 + AHEAD) * WIDTH, DIRECTIONS))

    def start(self, frames: int, batch: int = 1) -> MoonshineState:
        """Makes the state of ``batch`` new sessions that ask for the newest ``frames``."""
        return self.recogniser.start(frames + BACK, batch)

    @torch.no_grad()
    def forward(self, samples: Tensor, state: MoonshineState) -> ReadoutResult:
        """Predicts the newest motion frames after the next samples ``(B, 640 T)``, T at least 1."""
        return self._predict(self.recogniser(samples, state))

    def graph_spec(self) -> GraphSpec:
        """Makes ``forward`` a graph, for no more samples than the requested tokens have."""
        state = self.start(1)
        names = ("position", "before", "weight", "total", "squares", "tokens", "seen", "past")
        tokens = state.tokens.shape[1]
        example = {"samples": state.tokens.new_zeros(1, tokens, TOKEN), "count": torch.tensor([TOKENS])}
        example |= dict(zip(names, tensors_of(state), strict=True))
        free = dict.fromkeys(names, 1) | dict.fromkeys(("samples", "tokens", "seen"), 2)
        return GraphSpec(self._encode_and_predict, example, free, names)

    def _encode_and_predict(self, samples: Tensor, count: Tensor, *before: Tensor) -> tuple[Tensor, ...]:
        """Maps samples ``(B, 2 n, 320)``, of which the last ``count`` ``(1,)`` tokens are new, and a state's tensors to
        the prediction and the state's tensors after.

        There are as many samples as requested tokens: the two can have but one free length in a graph.
        """
        state = with_tensors(self.start(1), before)
        fresh = samples[:, samples.shape[1] - count[0] :].flatten(1)
        return (*self._predict(self.recogniser.encode(fresh, state)), *tensors_of(state))

    def _predict(self, features: Tensor) -> ReadoutResult:
        """Predicts from features ``(B, BACK + n, 288)``."""
        context = stack_context(self.standardise(features))  # (B, n, F)
        projected = context @ self.directions
        others = (self.voice_weight[..., None], self.closure_weight[..., None])
        weight = torch.cat([self.weight, *others], dim=-1).flip(0)  # the newest frame's last
        bias = torch.cat([self.bias, self.voice_bias[:, None], self.closure_bias[:, None]], dim=-1).flip(0)
        context = F.pad(context, (0, 0, DELAYS - 1, 0))  # whatever n, there is a frame for each set of weights
        near = context[:, -(DELAYS - 1) :]
        far = context[:, : -(DELAYS - 1)] @ weight[0] + bias[0]
        readout = torch.cat([far, (near[:, :, None] @ weight[1:])[:, :, 0] + bias[1:]], dim=1)[:, DELAYS - 1 :]
        return ReadoutResult(readout[..., :-2], readout[..., -2], readout[..., -1], projected)

    def standardise(self, features: Tensor) -> Tensor:
        """Standardises features ``(..., 288)``; they are zero before the first sample, and there alone."""
        known = (features != 0).any(-1, keepdim=True)
        return ((features - self.mean) / self.scale).clamp(-_LIMIT, _LIMIT) * known


def stack_context(features: Tensor) -> Tensor:
    """Stacks the frames around each of the last n of ``(B, BACK + n, W)`` to ``(B, n, (BACK + 1 + AHEAD) * W)``;
    zeros after the newest."""
    padded = F.pad(features, (0, 0, 0, AHEAD))
    window = BACK + 1 + AHEAD
    return torch.cat([padded[:, first : first - window + 1 or None] for first in range(window)], dim=-1)
