"""Defines what every synthesiser returns: sound at 16 kHz with its phones in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from mytalk.media_time import SAMPLE_RATE

_PAUSE = 0.3  # seconds of silence at either end


@dataclass(frozen=True, slots=True)
class Request:
    """Holds one sentence to speak. ``stretch`` slows the speech; ``timbre`` in [0, 1) picks among a voice's
    speakers."""

    text: str
    stretch: float = 1.0
    timbre: float = 0.0


@dataclass(frozen=True, slots=True)
class Spoken:
    """Holds samples ``(N,)`` at 16 kHz in [-1, 1], and classes of the mouth with their end times in seconds."""

    sound: NDArray[np.float32]
    classes: list[tuple[str, float]]


def resampled(pcm: NDArray[np.int16], rate: int) -> NDArray[np.float32]:
    """Resamples 16-bit samples ``(N,)`` at ``rate`` Hz to samples in [-1, 1] at 16 kHz, in time with them."""
    if rate == SAMPLE_RATE:
        return pcm.astype(np.float32) / np.float32(32768)
    frame = AudioFrame.from_ndarray(pcm[None], format="s16", layout="mono")
    frame.sample_rate = rate
    resampler = AudioResampler("flt", "mono", SAMPLE_RATE)
    blocks = [*resampler.resample(frame), *resampler.resample(None)]
    return np.asarray(np.concatenate([block.to_ndarray()[0] for block in blocks]), np.float32)


def between_pauses(sound: NDArray[np.float32], classes: list[tuple[str, float]]) -> Spoken:
    """Puts 0.3 s of silence before a sentence and after it: cut, or filled up with zeros."""
    quiet = [name == "silence" for name, _ in classes]
    if all(quiet):
        return Spoken(sound, classes)
    first, last = quiet.index(False), len(quiet) - 1 - quiet[::-1].index(False)
    begin = (classes[first - 1][1] if first else 0.0) - _PAUSE
    stop = classes[last][1] + _PAUSE
    filled = np.pad(sound, round(_PAUSE * SAMPLE_RATE))
    kept = filled[round((begin + _PAUSE) * SAMPLE_RATE) : round((stop + _PAUSE) * SAMPLE_RATE)]
    said = [(name, end - begin) for name, end in classes[first : last + 1]]
    return Spoken(kept, [("silence", _PAUSE), *said, ("silence", stop - begin)])
