"""Bounds the pictures that peers send before a decoder takes memory for them: a few bytes can ask for gigabytes.

aiortc 1.16.0 makes a decoder for whatever size a peer's stream names; ``tests/streamer/test_decoders.py`` fails when
another aiortc makes them elsewhere.
"""

from __future__ import annotations

from typing import Any

from aiortc import codecs, rtcrtpreceiver
from aiortc.codecs.h264 import H264Decoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

MAX_PIXELS = 4096 * 2304
"""Pixels of a camera's picture. A larger one is not decoded."""

_VP8_START = b"\x9d\x01\x2a"  # RFC 6386, 9.1


def too_large(data: bytes) -> bool:
    """Whether it is a VP8 key frame of more than ``MAX_PIXELS``: libvpx takes memory before FFmpeg looks. No picture of
    H264 (Annex B) begins so."""
    if len(data) < 10 or data[0] & 1 or data[3:6] != _VP8_START:
        return False
    width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return width * height > MAX_PIXELS


def bounded_decoder(codec: RTCRtpCodecParameters) -> Any:
    """aiortc's decoder for that codec; one of H264 refuses pictures of more than ``MAX_PIXELS``."""
    decoder = codecs.get_decoder(codec)
    if isinstance(decoder, H264Decoder):
        decoder.codec.options = {"max_pixels": str(MAX_PIXELS)}
    return decoder


def install() -> None:
    """From now on every receiver of the process decodes within bounds."""
    if not hasattr(rtcrtpreceiver, "get_decoder"):
        raise AttributeError("aiortc's receiver has no get_decoder any more (need aiortc 1.16.0)")
    setattr(rtcrtpreceiver, "get_decoder", bounded_decoder)  # noqa: B010 (mypy: not exported)
