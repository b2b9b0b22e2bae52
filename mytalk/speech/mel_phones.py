"""Joins two fronts: the log-mel spectrogram, and the phone posteriors of an acoustic model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mytalk.media_time import FRAME_SAMPLES
from mytalk.runtime.graph_module import GraphModule, GraphSpec
from mytalk.speech.cepstra import CepstraState
from mytalk.speech.filters import MELS
from mytalk.speech.interfaces import Front
from mytalk.speech.mel import LogMel, MelState
from mytalk.speech.phone_posteriors import PHONES, PhonePosteriors
from mytalk.speech.state_batching import tensors_of, with_tensors


@dataclass(slots=True)
class MelPhonesState:
    """Holds the state of both fronts."""

    mel: MelState
    phones: CepstraState


class MelPhones(GraphModule, Front[MelPhonesState]):
    """Maps 16 kHz samples to 80 log-mel bands and 42 phone posteriors, 100 times a second. No learned parameters."""

    rate = LogMel.rate
    width = MELS + PHONES

    def __init__(self) -> None:
        super().__init__()
        self.mel, self.phones = LogMel(), PhonePosteriors()

    def start(self, batch: int = 1) -> MelPhonesState:
        return MelPhonesState(self.mel.start(batch), self.phones.start(batch))

    def stream(self, samples: Tensor, state: MelPhonesState) -> Tensor:
        both = (self.mel.stream(samples, state.mel), self.phones.stream(samples, state.phones))
        return torch.cat(both, dim=-1)

    def graph_spec(self) -> GraphSpec:
        """Makes ``stream`` a graph: samples ``(B, T, 640)`` of at most `CEPSTRA_AT_ONCE` rows, and a state, to features
        and the state after."""
        state = self.start()
        names = ("mel_tail", "tail", "total", "weight", "rows")
        example = {"samples": state.mel.tail.new_zeros(1, 2, FRAME_SAMPLES)}
        example |= dict(zip(names, tensors_of(state), strict=True))
        return GraphSpec(self._stream_frames, example, {**dict.fromkeys(example, 1), "samples": 2}, names)

    def _stream_frames(self, samples: Tensor, *before: Tensor) -> tuple[Tensor, ...]:
        """Maps the next samples ``(B, T, 640)``, and a state's tensors, to features, and the state's tensors after."""
        state = with_tensors(self.start(), before)
        return self.stream(samples.flatten(1), state), *tensors_of(state)

    def offline(self, samples: Tensor) -> Tensor:
        mel, phones = self.mel.offline(samples), self.phones.offline(samples)
        return torch.cat([mel[:, : phones.shape[1]], phones], dim=-1)
