"""Encodes speech that did not come in as Opus, for fidelity."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av

from streamer.media.audio import OUTPUT_RATE, SpeechChunk

SPEECH_BITRATE = 128_000
"""Bits a second of speech that the server encodes itself."""


class SpeechEncoder:
    """Encodes by libopus at 48 kHz, stereo; begins again after a failure. Calls take about 0.3 ms of a thread."""

    def __init__(self) -> None:
        self._codec: Any = None

    def encode(self, chunk: SpeechChunk) -> bytes | None:
        """Makes one Opus packet of 20 ms; None where the encoder holds it back. Raises whatever FFmpeg raises."""
        try:
            self._codec = self._codec or _opened()
            packets = self._codec.encode(chunk.to_av())
        except Exception:
            self._codec = None
            raise
        return bytes(packets[0]) if packets else None


def _opened() -> Any:
    codec: Any = av.CodecContext.create("libopus", "w")
    codec.format, codec.layout, codec.sample_rate = "s16", "stereo", OUTPUT_RATE
    codec.time_base = Fraction(1, OUTPUT_RATE)
    codec.bit_rate = SPEECH_BITRATE
    codec.options = {"application": "audio"}
    return codec
