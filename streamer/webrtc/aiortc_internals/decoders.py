"""Decodes what a peer sends within bounds: a few bytes can ask a decoder for gigabytes.

aiortc 1.16.0 makes a decoder for whatever size a peer's stream names, in a function that its thread calls by name:
here that thread runs a loop of ours instead. The same thread makes our pictures of the decoded frames.
"""

from __future__ import annotations

import logging
import queue
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from aiortc import codecs
from aiortc.codecs.h264 import H264Decoder
from aiortc.rtcrtpparameters import RTCRtpCodecParameters

from mytalk.picture import Picture

log = logging.getLogger(__name__)

MAX_PIXELS = 4096 * 2304
"""Pixels of a camera's picture. A larger one is not decoded."""

MAX_LIVE_PIXELS = 1920 * 1080
"""Pixels of a picture that a live session takes: ``benchmarks/live/encoders.py`` encodes one of this size in 10 ms. A
larger one is decoded, so that its publisher is told its size, and left out."""

LIVE_FORMATS = ("yuv420p", "yuvj420p")
"""Formats of decoded pictures that a live session takes: 8-bit 4:2:0, which every camera sends. To make it of others
takes up to 1 s for 4096x2304."""

REFUSAL_PAUSE = 1.0
"""Seconds in which nothing is decoded after a picture that a live session does not take."""

VIDEO_TIME_BASE = Fraction(1, 90_000)

_NAL_UNIT = re.compile(rb"\x00\x00\x01(.)", re.DOTALL)
_VP8_START = b"\x9d\x01\x2a"  # RFC 6386, 9.1


def too_large(data: bytes) -> bool:
    """Whether ``data`` is a VP8 key frame of more than ``MAX_PIXELS``: libvpx takes memory before FFmpeg looks. No
    picture of H264 (Annex B) begins so."""
    if len(data) < 10 or data[0] & 1 or data[3:6] != _VP8_START:
        return False
    width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return width * height > MAX_PIXELS


def is_keyframe(codec: str, data: bytes) -> bool:
    """Whether a frame of VP8 (RFC 6386, 9.1) or H264 (Annex B: NAL unit types 5 and 7) can be decoded alone."""
    if codec == "VP8":
        return bool(data) and not data[0] & 1
    return any(found[1][0] & 31 in (5, 7) for found in _NAL_UNIT.finditer(data))


def bounded_decoder(codec: RTCRtpCodecParameters) -> Any:
    """Makes aiortc's decoder for that codec; one of H264 refuses pictures of more than ``MAX_PIXELS``."""
    decoder = codecs.get_decoder(codec)
    if isinstance(decoder, H264Decoder):
        decoder.codec.options = {"max_pixels": str(MAX_PIXELS)}
    return decoder


@dataclass(frozen=True, slots=True)
class CameraPicture:
    """Holds a decoded picture of a camera, with the timestamp of its track."""

    picture: Picture
    pts: int
    time_base: Fraction


Decoded = CameraPicture | av.AudioFrame
"""An item of a received track."""


def refusal(codec: str, frame: av.VideoFrame) -> str | None:
    """Says why a live session does not take a decoded frame; None where it does."""
    if frame.format.name in LIVE_FORMATS and frame.width * frame.height <= MAX_LIVE_PIXELS:
        return None
    given = f"{codec} in {frame.format.name}, {frame.width}x{frame.height}"
    return f"the camera's pictures are left out: {given} (need 8-bit 4:2:0, and 1920x1080 pixels at most)"


class DecoderLoop:
    """Stands where a receiver of aiortc has its decoder queue, and does the work of aiortc's decoder thread.

    That thread calls ``get`` for its first frame: ``get`` decodes all that comes, and returns at the end. On that
    thread ``deliver`` gets what was decoded, ``failed`` is called for a frame that FFmpeg refuses, and ``refused`` gets
    the reason for pictures that a live session does not take.
    """

    def __init__(
        self,
        waiting: queue.Queue[Any],
        deliver: Callable[[Decoded], None],
        failed: Callable[[], None],
        refused: Callable[[str], None],
    ) -> None:
        self._waiting = waiting
        self._deliver = deliver
        self._failed = failed
        self._refused = refused
        self._idle_until = 0.0  # time.monotonic()

    def put(self, item: Any) -> None:
        """Takes a codec and an encoded frame, or None: the end."""
        self._waiting.put(item)

    def get(self) -> None:
        """Decodes until the end, and returns None: aiortc's thread then ends the track."""
        decoder: Any = None
        codec_name = ""
        while (item := self._waiting.get()) is not None:
            codec, encoded = item
            if time.monotonic() < self._idle_until:
                codec_name = ""  # what comes then cannot be decoded by the old decoder
                continue
            if codec.name != codec_name:
                decoder, codec_name = bounded_decoder(codec), codec.name
            try:
                frames = decoder.decode(encoded)
            except av.FFmpegError as error:  # the decoder is kept: a new one would fail until the next keyframe
                log.debug("a frame of %s could not be decoded: %s", codec.name, error)
                self._failed()
                continue
            for frame in frames:
                if isinstance(frame, av.AudioFrame):
                    self._deliver(frame)
                else:
                    self._show(codec.name, frame)

    def _show(self, codec: str, frame: av.VideoFrame) -> None:
        reason = refusal(codec, frame)
        if reason is not None:
            self._idle_until = time.monotonic() + REFUSAL_PAUSE
            self._refused(reason)
        elif frame.pts is not None and time.monotonic() >= self._idle_until:
            time_base = frame.time_base or VIDEO_TIME_BASE
            self._deliver(CameraPicture(Picture.from_av(frame), frame.pts, time_base))
