"""Defines speech as a session carries it: 48 kHz stereo in 20 ms chunks, each with its media time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from mytalk.media_time import SAMPLE_RATE

OUTPUT_RATE = 48_000
"""Samples a second of the speech that leaves: the rate at which Opus works."""

CHUNK = OUTPUT_RATE // 50
"""Samples (48 kHz) a chunk: 20 ms, one Opus packet."""

CHUNK_TIME = SAMPLE_RATE // 50
"""20 ms in media time, which counts samples at 16 kHz."""

Stereo = NDArray[np.int16]
"""Samples ``(n, 2)``, left and right."""


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """20 ms of speech that starts at media time ``at``, a multiple of 320.

    ``packet`` is the Opus packet that ``samples`` were decoded from, where it holds just them. ``away``: silence,
    because the camera has left.
    """

    at: int
    samples: Stereo  # (960, 2)
    packet: bytes | None = None
    away: bool = False

    def silenced(self) -> SpeechChunk:
        """Gives a chunk of silence for the same media time."""
        return SpeechChunk(self.at, np.zeros_like(self.samples), away=self.away)

    def to_av(self) -> av.AudioFrame | av.Packet[Any]:
        """Gives the packet as it came, or a frame to be encoded, with ``pts`` in units of 1 / 48 000 s."""
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
    """Gives the samples ``(n, 2)`` of a decoded packed 16-bit frame of one or more channels; mono is doubled."""
    samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels)).astype(np.int16, copy=False)
    return np.repeat(samples, 2, axis=1) if samples.shape[1] == 1 else np.ascontiguousarray(samples[:, :2])


def mixed(one: Stereo, other: Stereo) -> Stereo:
    """Adds two pieces of equal length, clipped to 16 bits. Where one is silence the other comes back unchanged."""
    if not one.any() or not other.any():
        return other if other.any() else one
    return np.asarray(np.clip(one.astype(np.int32) + other, -32768, 32767), np.int16)
