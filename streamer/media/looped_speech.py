"""Plays a stored speech in a loop, for a session without a speech of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from mytalk.media.samples import to_frame
from mytalk.media.speech import SpeechReader
from streamer.media.audio import CHUNK, OUTPUT_RATE, Stereo, stereo_of

PAUSE = 3 * OUTPUT_RATE // 2
"""Samples (48 kHz, 1.5 s) of silence before a speech begins again."""


class LoopedSpeech:
    """Gives a speech in 20 ms chunks, over and over with a pause between. Immutable, so sessions share one."""

    def __init__(self, samples: Stereo) -> None:
        whole = -(-(len(samples) + PAUSE) // CHUNK) * CHUNK
        self._samples = np.concatenate([samples, np.zeros((whole - len(samples), 2), np.int16)])

    @classmethod
    def read(cls, path: Path) -> LoopedSpeech:
        """Decodes a whole file. Raises ``UnreadableError`` or ``NoSpeechError``."""
        reader = SpeechReader(path)
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=OUTPUT_RATE)
        parts: list[Stereo] = []
        position = 0
        for block in reader.blocks():
            frame = to_frame(block, reader.rate, reader.layout, position)
            position += block.shape[1]
            parts += [stereo_of(out) for out in resampler.resample(frame)]
        parts += [stereo_of(out) for out in resampler.resample(None)]
        return cls(np.concatenate(parts))

    def chunks(self, *, from_pause: bool = False) -> Iterator[Stereo]:
        """Yields 20 ms ``(960, 2)`` at a time without end, from the beginning or from the pause before it."""
        first = (len(self._samples) - PAUSE) // CHUNK * CHUNK if from_pause else 0
        while True:
            for start in range(first, len(self._samples), CHUNK):
                yield self._samples[start : start + CHUNK]
            first = 0
