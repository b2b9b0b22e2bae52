"""The mouth read off a speech recogniser's features: linear, in closed form.

A recogniser that thousands of people trained says the same of a phone whoever speaks it, and a linear map from that to
mouths needs little film; the denoiser, which minutes of film teach, learns its speakers by heart long before. The two
err differently, so what leaves is a mixture: `MotionModel.sample`. `mytalk.training.speech.readout` fits the weights.

The same features tell whether somebody speaks: noise as loud as a voice is none to a recogniser. That is linear too,
and fitted to speech whose pauses are known: `mytalk.training.speech.voice_readout`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mytalk.runtime.onnx_graph import Graph, Graphed
from mytalk.speech.moonshine import TOKEN, TOKENS, WIDTH, Moonshine, MoonshineState
from mytalk.speech.state_batching import put_tensors, tensors_of, with_tensors

BACK, AHEAD = 2, 3
"""Motion frames around its own that a mouth is read from."""

LATER = 8
"""Sets of weights: for a mouth after which 0, 1, ... 6 frames were heard, and 7 or more."""

_LIMIT = 6.0  # standard deviations of a feature; further out it is something that training has not heard


class ReadoutResult(NamedTuple):
    """What is read of ``n`` motion frames."""

    motion: Tensor  # (B, n, K)
    voice: Tensor  # (B, n): about 1 where somebody speaks, about -1 where nobody does; 0 where this was never learned


class Readout(Graphed):
    """16 kHz samples to motion and voice of the newest frames, each told from all that was heard so far.

    Buffers, stored with the weights: ``mean`` and ``scale`` ``(288,)`` of the features, ``weight`` ``(LATER, 6 * 288,
    K)`` and ``bias`` ``(LATER, K)``, ``voice_weight`` ``(LATER, 6 * 288)`` and ``voice_bias`` ``(LATER,)``.
    """

    def __init__(self, coefficients: int) -> None:
        super().__init__()
        self._graph: Graph | None = None
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
    def forward(self, samples: Tensor, state: MoonshineState) -> ReadoutResult:
        """The next samples ``(B, 640 T)``, T at least 1, to what they say of the newest motion frames."""
        asked = state.tokens.shape[1]
        if self._graph is None or samples.shape[1] > asked * TOKEN:
            return self._tell(self.recogniser(samples, state))
        count = samples.shape[1] // TOKEN
        padded = np.zeros((len(samples), asked, TOKEN), np.float32)
        padded[:, asked - count :] = samples.reshape(-1, count, TOKEN).numpy()
        given = torch.from_numpy(padded), torch.from_numpy(np.array([count], np.int64))
        motion, voice, *after = self._graph(*given, *tensors_of(state))
        put_tensors(state, after)
        return ReadoutResult(motion, voice)

    def to_graph(self) -> None:
        state = self.start(1)
        names = ("heard", "before", "weight", "total", "squares", "tokens", "seen", "past")
        tokens = state.tokens.shape[1]
        example = {"samples": state.tokens.new_zeros(1, tokens, TOKEN), "count": torch.tensor([TOKENS])}
        example |= dict(zip(names, tensors_of(state), strict=True))
        free = dict.fromkeys(names, 1) | dict.fromkeys(("samples", "tokens", "seen"), 2)
        self._graph = Graph(self, self._hear, example, free)

    def _hear(self, samples: Tensor, count: Tensor, *before: Tensor) -> tuple[Tensor, ...]:
        """Samples ``(B, 2 n, 320)``, of which the last ``count`` ``(1,)`` tokens are new, and a state's tensors, to
        what is told, and the state's tensors after.

        As many samples as there are tokens that are asked for: the two can have but one free length in a graph.
        """
        state = with_tensors(self.start(1), before)
        fresh = samples[:, samples.shape[1] - count[0] :].flatten(1)
        return (*self._tell(self.recogniser.hear(fresh, state)), *tensors_of(state))

    def _tell(self, features: Tensor) -> ReadoutResult:
        """What is read of features ``(B, BACK + n, 288)``."""
        seen = stacked(self.standardise(features))  # (B, n, F)
        weight = torch.cat([self.weight, self.voice_weight[..., None]], dim=-1).flip(0)  # the newest frame's last
        bias = torch.cat([self.bias, self.voice_bias[..., None]], dim=-1).flip(0)
        seen = F.pad(seen, (0, 0, LATER - 1, 0))  # whatever n, there is a frame for each set of weights
        near = seen[:, -(LATER - 1) :]
        far = seen[:, : -(LATER - 1)] @ weight[0] + bias[0]
        told = torch.cat([far, (near[:, :, None] @ weight[1:])[:, :, 0] + bias[1:]], dim=1)[:, LATER - 1 :]
        return ReadoutResult(told[..., :-1], told[..., -1])

    def standardise(self, features: Tensor) -> Tensor:
        """Features ``(..., 288)``, zero where nothing was heard and there alone."""
        known = (features != 0).any(-1, keepdim=True)
        return ((features - self.mean) / self.scale).clamp(-_LIMIT, _LIMIT) * known


def stacked(features: Tensor) -> Tensor:
    """``(B, BACK + n, W)`` to the frames around each of the last n, ``(B, n, (BACK + 1 + AHEAD) * W)``; zeros after the
    newest."""
    padded = F.pad(features, (0, 0, 0, AHEAD))
    around = BACK + 1 + AHEAD
    return torch.cat([padded[:, first : first - around + 1 or None] for first in range(around)], dim=-1)
