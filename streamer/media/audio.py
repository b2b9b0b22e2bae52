"""Speech on its way through a session: 48 kHz for the ear in 20 ms chunks, 16 kHz for the model."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mytalk.media_time import SAMPLE_RATE

OUTPUT_RATE = 48_000
"""Samples a second of the speech that is heard; Opus knows no other."""

CHUNK = OUTPUT_RATE // 50
"""Samples (48 kHz) a chunk: 20 ms, one Opus packet."""

CHUNK_TIME = SAMPLE_RATE // 50
"""The same 20 ms in media time."""

Stereo = NDArray[np.int16]
"""Interleaved samples ``(n, 2)``."""


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """20 ms of speech that starts at media time ``at``, a multiple of 320.

    ``packet`` is the Opus packet that ``samples`` were decoded from, where it holds just them.
    """

    at: int
    samples: Stereo  # (960, 2)
    packet: bytes | None = None

    def silenced(self) -> SpeechChunk:
        """Silence in its place."""
        return SpeechChunk(self.at, np.zeros_like(self.samples))

    def to_av(self) -> av.AudioFrame | av.Packet[Any]:
        """As an outbound track sends it: the packet as it came, or a frame to be encoded."""
        pts, time_base = self.at * (OUTPUT_RATE // SAMPLE_RATE), Fraction(1, OUTPUT_RATE)
        if self.packet is not None:
            packet = av.Packet(self.packet)
            packet.pts, packet.time_base = pts, time_base
            return packet
        frame = av.AudioFrame.from_ndarray(self.samples.reshape(1, -1), format="s16", layout="stereo")
        frame.sample_rate = OUTPUT_RATE
        frame.pts, frame.time_base = pts, time_base
        return frame


def stereo_of(frame: av.AudioFrame) -> Stereo:
    """Samples of a decoded packed 16-bit frame of one or two channels, as ``(n, 2)``."""
    samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels)).astype(np.int16, copy=False)
    return np.repeat(samples, 2, axis=1) if samples.shape[1] == 1 else np.ascontiguousarray(samples[:, :2])


def mixed(one: Stereo, other: Stereo) -> Stereo:
    """Both at once, where both are heard; either as it is where the other is silent."""
    if not one.any() or not other.any():
        return other if other.any() else one
    return np.clip(one.astype(np.int32) + other, -32768, 32767).astype(np.int16)


class Downsampler:
    """48 kHz stereo to the model's 16 kHz mono, as a stream that keeps its time: the last millisecond is held back.

    A windowed sinc of our own: FFmpeg's resampler would keep two threads a session.
    """

    def __init__(self) -> None:
        self._tail = np.zeros(len(_TAPS) - 1, np.float32)
        self._ahead = len(_TAPS) // 2 // _STEP  # outputs before media time 0: the filter's own delay

    def __call__(self, samples: Stereo) -> NDArray[np.float32]:
        """``samples`` ``(3 n, 2)`` to ``(n,)``, in -1..1."""
        mono = samples.mean(axis=1, dtype=np.float32) / np.float32(32768)
        heard = np.concatenate([self._tail, mono])
        self._tail = heard[-(len(_TAPS) - 1) :]
        out = np.convolve(heard, _TAPS, "valid")[::_STEP]
        skipped = min(self._ahead, len(out))
        self._ahead -= skipped
        return out[skipped:]

    def clear(self) -> None:
        """Barge-in: what was heard so far is silence to what comes."""
        self._tail[:] = 0


def _low_pass(taps: int, cutoff: float) -> NDArray[np.float32]:
    """A Blackman-windowed sinc; ``cutoff`` as a share of the sample rate. Sums to 1."""
    places = np.arange(taps) - taps // 2
    kernel = np.sinc(2 * cutoff * places) * np.blackman(taps)
    return np.asarray(kernel / kernel.sum(), np.float32)


_STEP = OUTPUT_RATE // SAMPLE_RATE
_TAPS = _low_pass(97, 7_000 / OUTPUT_RATE)
