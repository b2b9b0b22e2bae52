"""Decodes what a peer sends within bounds: a few bytes can ask a decoder for gigabytes.

aiortc 1.16.0 makes a decoder for whatever size a peer's stream names, in a function that its thread calls by name:
here that thread runs a loop of ours instead.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable
from typing import Any

import av
from aiortc import codecs
from aiortc.codecs.h264 import H264Decoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from av.frame import Frame

log = logging.getLogger(__name__)

MAX_PIXELS = 4096 * 2304
"""Pixels of a camera's picture. A larger one is not decoded."""

_VP8_START = b"\x9d\x01\x2a"  # RFC 6386, 9.1


def too_large(data: bytes) -> bool:
    """Whether ``data`` is a VP8 key frame of more than ``MAX_PIXELS``: libvpx takes memory before FFmpeg looks. No
    picture of H264 (Annex B) begins so."""
    if len(data) < 10 or data[0] & 1 or data[3:6] != _VP8_START:
        return False
    width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return width * height > MAX_PIXELS


def bounded_decoder(codec: RTCRtpCodecParameters) -> Any:
    """Makes aiortc's decoder for that codec; one of H264 refuses pictures of more than ``MAX_PIXELS``."""
    decoder = codecs.get_decoder(codec)
    if isinstance(decoder, H264Decoder):
        decoder.codec.options = {"max_pixels": str(MAX_PIXELS)}
    return decoder


class DecoderLoop:
    """Stands where a receiver of aiortc has its decoder queue, and does the work of aiortc's decoder thread.

    That thread calls ``get`` for its first frame: ``get`` decodes all that comes, and returns at the end. ``deliver``
    gets each decoded frame and ``failed`` is called for a frame that FFmpeg refuses, both on that thread.
    """

    def __init__(self, waiting: queue.Queue[Any], deliver: Callable[[Frame], None], failed: Callable[[], None]) -> None:
        self._waiting = waiting
        self._deliver = deliver
        self._failed = failed

    def put(self, item: Any) -> None:
        """Takes a codec and an encoded frame, or None: the end."""
        self._waiting.put(item)

    def get(self) -> None:
        """Decodes until the end, and returns None: aiortc's thread then ends the track."""
        decoder: Any = None
        codec_name = ""
        while (item := self._waiting.get()) is not None:
            codec, encoded = item
            if codec.name != codec_name:
                decoder, codec_name = bounded_decoder(codec), codec.name
            try:
                frames = decoder.decode(encoded)
            except av.FFmpegError as error:  # the decoder is kept: a new one would fail until the next keyframe
                log.debug("a frame of %s could not be decoded: %s", codec.name, error)
                self._failed()
                continue
            for frame in frames:
                self._deliver(frame)
