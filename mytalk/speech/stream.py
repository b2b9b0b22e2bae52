"""Encodes speech of any packet size to features of whole motion frames."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mytalk.media_time import FRAME_SAMPLES

Array = NDArray[np.float32]


class ReadoutArrays(NamedTuple):
    """Holds what a readout predicted for the newest ``n`` motion frames."""

    motion: Array  # (n, K)
    voice: Array  # (n,)
    closure: Array  # (n,)
    context: Array  # (n, R): see `mytalk.speech.readout.ReadoutResult`


class Extracted(NamedTuple):
    """Holds what was extracted from T motion frames of speech."""

    features: Array  # (T, D)
    readout: ReadoutArrays | None  # None without a readout


class SpeechExtractor(Protocol):
    """Extracts features for the sessions of a model; what is a session's own is in its state. Any thread may call."""

    @property
    def width(self) -> int:
        """Returns D, how many features a motion frame has."""
        ...

    def start(self, readout_frames: int) -> Any:
        """Makes the state of a new session. ``readout_frames``: motion frames that a readout predicts."""
        ...

    def extract(self, samples: Array, state: Any) -> Extracted:
        """Extracts from the next samples ``(640 T,)``. The state is updated in place."""
        ...


class ReadoutEstimate(NamedTuple):
    """Holds what a readout predicted for the ``n`` frames before frame ``end`` of the stream, from all speech up to
    then."""

    end: int
    motion: Array  # (n, K)
    voice: Array  # (n,)
    closure: Array  # (n,)
    context: Array  # (n, R): see `mytalk.speech.readout.ReadoutResult`


class EncodedSpeech(NamedTuple):
    """Holds features, levels and readout estimates of ``n`` motion frames of speech."""

    features: Array  # (n, D)
    levels: NDArray[np.float32]  # (n,) dB
    estimates: list[ReadoutEstimate]  # one a group of frames; none without a readout
    samples: int  # that were given for it, some of which may belong to the next frame


class SpeechStream:
    """Encodes one session's speech, with the same results whatever the packet sizes.

    Samples are gathered into groups of ``at_once`` motion frames (640 samples each), of which the first may be another
    size, and encoded a group at a time, so that the arithmetic, and with it the rounding, does not depend on the
    packets. It holds under one group of samples and the extractor's state.
    """

    def __init__(
        self, extractor: SpeechExtractor, at_once: int = 1, first: int | None = None, readout_frames: int = 0
    ) -> None:
        """``readout_frames``: motion frames up to each group's end that a readout predicts."""
        self._extractor, self._state = extractor, extractor.start(readout_frames)
        self._frames = 0  # motion frames
        self._at_once = at_once * FRAME_SAMPLES
        self._group = (first or at_once) * FRAME_SAMPLES
        self._pending = np.zeros(0, np.float32)

    def push(self, samples: NDArray[np.float32]) -> EncodedSpeech:
        """Takes more speech at 16 kHz, and returns the features of the groups that it completes."""
        self._pending = np.concatenate([self._pending, np.asarray(samples, np.float32)])
        groups = []
        while len(self._pending) >= self._group:
            groups.append(self._encode(self._group))
            self._group = self._at_once
        return self._join(groups, len(samples))

    def finish(self) -> EncodedSpeech:
        """Encodes the whole motion frames of the last group. No more speech comes."""
        rest = len(self._pending) // FRAME_SAMPLES * FRAME_SAMPLES
        return self._join([self._encode(rest)] if rest else [], 0)

    def _encode(self, count: int) -> tuple[Array, Array, list[ReadoutEstimate]]:
        samples, self._pending = self._pending[:count], self._pending[count:]
        extracted = self._extractor.extract(samples, self._state)
        frames = samples.reshape(-1, FRAME_SAMPLES)
        power = np.einsum("ts,ts->t", frames, frames) / FRAME_SAMPLES
        levels = np.asarray(10 * np.log10(power + 1e-10), np.float32)
        self._frames += len(levels)
        estimates: list[ReadoutEstimate] = []
        if extracted.readout is not None:
            estimates.append(ReadoutEstimate(self._frames, *extracted.readout))
        return extracted.features, levels, estimates

    def _join(self, groups: list[tuple[Array, Array, list[ReadoutEstimate]]], samples: int) -> EncodedSpeech:
        if not groups:
            nothing = np.zeros((0, self._extractor.width), np.float32)
            return EncodedSpeech(nothing, np.zeros(0, np.float32), [], samples)
        features, levels, estimates = zip(*groups, strict=True)
        readout = [one for group in estimates for one in group]
        return EncodedSpeech(np.concatenate(features), np.concatenate(levels), readout, samples)
