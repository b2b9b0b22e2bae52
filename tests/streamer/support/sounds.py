"""Sounds of our own making, their Opus packets, and how alike two sounds are."""

from __future__ import annotations

from functools import cache
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


@cache
def babble(seconds: float, seed: int = 0) -> NDArray[np.int16]:
    """Sound at 48 kHz in syllables of which no two are alike: its place can be found, and Opus keeps its shape.

    Read-only. A minute takes 90 ms, in which a test holds the event loop: it is made once.
    """
    rng = np.random.default_rng(seed)
    moments = np.arange(int(seconds * 48_000)) / 48_000
    knots = np.arange(int(seconds * 8) + 2) / 8
    pitch = np.interp(moments, knots, rng.uniform(180, 700, len(knots)))
    loudness = np.clip(np.interp(moments, knots, rng.uniform(-0.2, 1, len(knots))), 0, 1)
    sound = np.asarray(np.sin(2 * np.pi * np.cumsum(pitch) / 48_000) * loudness * 12_000, np.int16)
    sound.setflags(write=False)
    return sound


def likeness(sent: NDArray[np.int16], heard: NDArray[np.int16], rate: int = 48_000) -> float:
    """Median, over the half seconds of ``sent``, of the best correlation anywhere in ``heard``.

    The median, because a machine that is busy with other things may lose a moment of a live call.
    """
    found = []
    for start in range(0, len(sent) - rate // 2 + 1, rate // 2):
        part = sent[start : start + rate // 2].astype(float)
        size = 1 << (len(heard) + len(part)).bit_length()
        cross = np.fft.irfft(np.fft.rfft(heard.astype(float), size) * np.conj(np.fft.rfft(part, size)), size)
        lag = int(np.argmax(cross[: max(1, len(heard) - len(part))]))
        found.append(np.corrcoef(heard[lag : lag + len(part)], part)[0, 1])
    return float(np.median(found))


def opus(speech: NDArray[np.int16]) -> list[bytes]:
    """Packets of 20 ms of Opus from mono samples at 48 kHz."""
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = 48_000, "mono", "s16", 64_000
    encoder.options = {"application": "audio"}
    packets = []
    for start in range(0, len(speech), 960):
        frame = av.AudioFrame.from_ndarray(speech[None, start : start + 960], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, start
        packets += encoder.encode(frame)
    return [bytes(packet) for packet in [*packets, *encoder.encode(None)]]
