"""Extracts all that a preset takes from speech by graphs, on the CPU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mytalk.media_time import FRAME_SAMPLES
from mytalk.runtime.onnx_graph import Array, Graph
from mytalk.speech.stream import Extracted, ReadoutArrays
from mytalk.speech.timing import BACK, CEPSTRA_AT_ONCE, MEL_PER_MOTION, TOKEN, TOKENS

_FRONT_FRAMES = CEPSTRA_AT_ONCE // MEL_PER_MOTION  # motion frames that a front's graph takes


@dataclass(slots=True)
class GraphState:
    """Holds the state of each graph between two chunks of samples."""

    front: list[Array]
    encoder: list[Array]
    readout: list[Array]  # empty without one
    readout_frames: int


class GraphExtractor:
    """Extracts features by the graphs of a front, an encoder and, where the preset has one, a readout."""

    def __init__(self, front: Graph, encoder: Graph, readout: Graph | None, width: int) -> None:
        self._front, self._encoder, self._readout = front, encoder, readout
        self.width = width

    def start(self, readout_frames: int) -> GraphState:
        """Makes the state of a new session."""
        readout = [] if self._readout is None else self._readout.start(TOKENS * (readout_frames + BACK))
        return GraphState(self._front.start(), self._encoder.start(), readout, readout_frames)

    def extract(self, samples: Array, state: GraphState) -> Extracted:
        """Extracts from the next samples ``(640 T,)``."""
        frames = samples.reshape(1, -1, FRAME_SAMPLES)
        parts = [frames[:, first : first + _FRONT_FRAMES] for first in range(0, frames.shape[1], _FRONT_FRAMES)]
        heard = [self._front.stream(part, state=state.front)[0] for part in parts]
        (features,) = self._encoder.stream(np.concatenate(heard, axis=1), state=state.encoder)
        if self._readout is None:
            return Extracted(features[0], None)
        requested = TOKENS * (state.readout_frames + BACK)
        tokens = samples.reshape(-1, TOKEN)
        for first in range(0, len(tokens), requested):
            fresh = tokens[first : first + requested]
            given = np.zeros((1, requested, TOKEN), np.float32)
            given[0, requested - len(fresh) :] = fresh
            predicted = self._readout.stream(given, np.array([len(fresh)]), state=state.readout)
        return Extracted(features[0], ReadoutArrays(*(one[0] for one in predicted)))
