"""Computes a causal log-mel spectrogram: a frame looks back from its own end and never ahead."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from mytalk.media_time import FRAME_SAMPLES
from mytalk.runtime.graph_module import GraphModule, GraphSpec
from mytalk.speech.band_power import BandPower
from mytalk.speech.filters import HOP, MEL_WINDOW, MELS, mel_bands
from mytalk.speech.interfaces import Front
from mytalk.speech.timing import MEL_PER_MOTION

FLOOR = 1e-5  # power below this is silence: about -50 dB under ordinary speech
LEFT = MEL_WINDOW - HOP
"""Samples before a chunk that its first frame still looks at."""


@dataclass(slots=True)
class MelState:
    """Holds the samples that the next chunk's first frame still looks at."""

    tail: Tensor  # (B, LEFT) samples


class LogMel(GraphModule, Front[MelState]):
    """Computes the natural log of mel power, shifted and scaled to about unit range. No learned parameters.

    Mel filters: triangular, Slaney scale, 50 Hz to 7.6 kHz.
    """

    rate = MEL_PER_MOTION
    width = MELS

    def __init__(self) -> None:
        super().__init__()
        self.power = BandPower(mel_bands())

    def forward(self, samples: Tensor) -> Tensor:
        """Maps samples ``(B, LEFT + 160 * N)``, the first ``LEFT`` being the past, to ``(B, N, 80)``."""
        return torch.log(self.power(samples) + FLOOR) * 0.25 + 1.0

    def start(self, batch: int = 1) -> MelState:
        return MelState(self.power.window.new_zeros(batch, LEFT))

    def stream(self, samples: Tensor, state: MelState) -> Tensor:
        samples = torch.cat([state.tail, samples], dim=-1)
        state.tail = samples[:, -LEFT:]
        return self.forward(samples)

    def graph_spec(self) -> GraphSpec:
        """Makes ``stream`` a graph: samples ``(B, T, 640)`` and a state, to features and the state after."""
        tail = self.start().tail
        example = {"samples": tail.new_zeros(1, 2, FRAME_SAMPLES), "tail": tail}
        return GraphSpec(self._stream_frames, example, {"samples": 2, "tail": 1}, ("tail",))

    def _stream_frames(self, samples: Tensor, tail: Tensor) -> tuple[Tensor, ...]:
        state = MelState(tail)
        return self.stream(samples.flatten(1), state), state.tail

    def offline(self, samples: Tensor) -> Tensor:
        """Maps a whole recording ``(B, S)`` from its start to ``(B, S // 160, 80)``."""
        return self.forward(F.pad(samples, (LEFT, 0)))
