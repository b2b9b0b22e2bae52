"""Converts sound to another rate and channel layout."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from mytalk.media.mono import MonoMixer
from mytalk.media.samples import to_frame
from mytalk.media.speech import SpeechReader


def resampled(sound: SpeechReader, rate: int, layout: str) -> Iterator[NDArray[np.float32]]:
    """Yields a sound's blocks ``(channels, n)`` at another rate and layout.

    One channel becomes two of the same level; more than two are mixed first, and no mix can overflow.
    """
    mixer = MonoMixer(sound.rate, sound.layout) if sound.channels > 2 and sound.layout != layout else None
    doubled = layout == "stereo" and (sound.channels == 1 or mixer is not None)
    resampler = AudioResampler("fltp", "mono" if doubled else layout, rate, options={"rematrix_maxval": "1.0"})
    position = 0
    for block in sound.blocks():
        given, kind = (block, sound.layout) if mixer is None else (mixer.mix(block)[None], "mono")
        frame = to_frame(given, sound.rate, kind, position)
        position += block.shape[1]
        for made in resampler.resample(frame):
            yield _samples(made, doubled)
    for made in resampler.resample(None):
        yield _samples(made, doubled)


def _samples(frame: AudioFrame, doubled: bool) -> NDArray[np.float32]:
    samples = np.asarray(frame.to_ndarray(), np.float32)
    return np.repeat(samples, 2, axis=0) if doubled else samples
