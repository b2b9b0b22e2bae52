"""Extracts all that a preset takes from speech: by front, encoder and, where there is one, readout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mytalk.runtime.cuda_graphs import CudaGraphs, Recorder, to_device, to_host
from mytalk.speech.interfaces import Encoder, Front
from mytalk.speech.readout import Readout, ReadoutResult
from mytalk.speech.state_batching import put_tensors, tensors_of, with_tensors
from mytalk.speech.stream import Array, Extracted, ReadoutArrays


@dataclass(slots=True)
class FeatureExtractorState:
    """Holds the state of each part between two chunks of samples."""

    front: Any
    encoder: Any
    readout: Any  # None without one


class FeatureExtractor:
    """Extracts features for the sessions of a model; what is a session's own is in its state. Any thread may call."""

    def __init__(self, encoder: Encoder[Any], front: Front[Any], readout: Readout | None = None) -> None:
        self._encoder, self._front, self._readout = encoder, front, readout
        self._graphs: CudaGraphs | None = None
        self.width = encoder.width
        self.weight = next(encoder.parameters())  # where, and of the kind that, features are

    def start(self, readout_frames: int) -> FeatureExtractorState:
        """Makes the state of a new session. ``readout_frames``: motion frames that the readout predicts."""
        readout = None if self._readout is None else self._readout.start(readout_frames)
        return FeatureExtractorState(self._front.start(), self._encoder.start(), readout)

    def __call__(self, sound: Tensor, state: FeatureExtractorState) -> tuple[Tensor, ReadoutResult | None]:
        """Maps the next samples ``(1, 640 T)`` to features ``(1, T, D)``, and to the readout of the newest motion
        frames.

        The state is updated in place.
        """
        if self._graphs is None:
            return self._extract(sound, state)
        features, *outputs = self._graphs(sound, *tensors_of(state))
        readout = None if self._readout is None else ReadoutResult(*(outputs.pop(0) for _ in ReadoutResult._fields))
        put_tensors(state, outputs)
        return features, readout

    @torch.inference_mode()
    def extract(self, samples: Array, state: FeatureExtractorState) -> Extracted:
        """Extracts from the next samples ``(640 T,)`` of one session, as arrays."""
        features, readout = self(to_device(torch.from_numpy(samples), self.weight.device)[None], state)
        heard = to_host(features[0]).numpy()
        if readout is None:
            return Extracted(heard, None)
        return Extracted(heard, ReadoutArrays(*(to_host(one[0]).numpy() for one in readout)))

    def to_cuda_graphs(self, record: Recorder | None = None) -> None:
        """Switches to CUDA graphs, one for each number of samples and of readout frames."""
        like = self.start(1)  # whose parts are those of any state

        def run(sound: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
            now = with_tensors(like, state)
            features, readout = self._extract(sound, now)
            return (features, *(readout or ()), *tensors_of(now))

        self._graphs = CudaGraphs(run, record)

    def _extract(self, sound: Tensor, state: FeatureExtractorState) -> tuple[Tensor, ReadoutResult | None]:
        front_features = self._front.stream(sound, state.front)
        features = self._encoder(front_features.to(self.weight.dtype), state.encoder)
        return features, None if self._readout is None else self._readout(sound, state.readout)
