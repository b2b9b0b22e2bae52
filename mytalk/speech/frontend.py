"""All that hears one preset's speech: front, encoder and, where there is one, readout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mytalk.runtime.cuda_graphs import CudaGraphs, Recorder
from mytalk.speech.interfaces import Encoder, Front
from mytalk.speech.readout import Readout, ReadoutResult
from mytalk.speech.state_batching import put_tensors, tensors_of, with_tensors


@dataclass(slots=True)
class HearingState:
    """What the next samples are heard with, of each part."""

    front: Any
    encoder: Any
    readout: Any  # None without one


class Hearing:
    """Shared by the sessions of a model; what is theirs is in their states. Any thread may call."""

    def __init__(self, encoder: Encoder[Any], front: Front[Any], readout: Readout | None = None) -> None:
        self._encoder, self._front, self._readout = encoder, front, readout
        self._graphs: CudaGraphs | None = None
        self.width = encoder.width
        self.weight = next(encoder.parameters())  # where, and of the kind that, features are

    def start(self, guessed: int) -> HearingState:
        """The state of a session that has heard nothing. ``guessed``: motion frames that the readout tells of."""
        readout = None if self._readout is None else self._readout.start(guessed)
        return HearingState(self._front.start(), self._encoder.start(), readout)

    def __call__(self, sound: Tensor, state: HearingState) -> tuple[Tensor, ReadoutResult | None]:
        """The next samples ``(1, 640 T)`` to features ``(1, T, D)``, and what the readout tells of the newest motion
        frames. The state is brought up to date in place."""
        if self._graphs is None:
            return self._hear(sound, state)
        features, *made = self._graphs(sound, *tensors_of(state))
        told = None if self._readout is None else ReadoutResult(made.pop(0), made.pop(0))
        put_tensors(state, made)
        return features, told

    def to_cuda_graphs(self, record: Recorder | None = None) -> None:
        """From now on samples are heard by graphs, one for each number of them and of guessed frames."""
        like = self.start(1)  # whose parts are those of any state

        def hear(sound: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
            now = with_tensors(like, state)
            features, told = self._hear(sound, now)
            return (features, *(told or ()), *tensors_of(now))

        self._graphs = CudaGraphs(hear, record)

    def _hear(self, sound: Tensor, state: HearingState) -> tuple[Tensor, ReadoutResult | None]:
        heard = self._front.stream(sound, state.front)
        features = self._encoder(heard.to(self.weight.dtype), state.encoder)
        return features, None if self._readout is None else self._readout(sound, state.readout)
