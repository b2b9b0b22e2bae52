"""Encodes the media that a stream's client asked for, as the pacer releases it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.media_time import SAMPLE_RATE
from mytalk.picture import Picture, VideoFrame
from streamer.executors import Pool
from streamer.media.audio import SpeechChunk
from streamer.outputs.fmp4 import Fmp4
from streamer.protocol.generation import Cleared
from streamer.protocol.messages import Output
from streamer.protocol.packets import Flags, Kind
from streamer.webrtc.bitrate import MAX_BITRATE
from streamer.webrtc.broadcast import Broadcast
from streamer.webrtc.encoded import Encoded

JPEG_QUALITY = 85

KEY_INTERVAL = 4 * SAMPLE_RATE
"""Media time between two keyframes of an MP4: players jump to them, and forget up to them."""

WEBP_QUALITY = 80

PNG_LEVEL = 1
"""Of zlib, 0 to 9: a portrait of 512 x 512 takes 7 ms and 300 kB with it, and 25 ms and 270 kB with 6."""

_PICTURE_BOUND = 4  # pictures that wait to become still images. Full: the oldest is left out and counted.

Send = Callable[[Kind, Flags, int, bytes], None]
"""Kind, flags, media time, payload."""


class StreamOutput:
    """Sends released media to one client: a sink of the pacer and, for H264, a member of the broadcast's audience.

    ``late`` says whether the picture at hand is to be left out, because the connection is too slow.
    """

    def __init__(self, send: Send, late: Callable[[], bool], broadcast: Broadcast, codecs: Pool) -> None:
        self.chosen = Output()
        self.dropped = 0  # pictures that found no room
        self._send, self._late = send, late
        self._broadcast = broadcast
        self._codecs = codecs
        self._audience = _Audience(self)
        self._needs_key = True
        self._pictures: deque[VideoFrame] = deque()
        self._filled = asyncio.Event()
        self._stills: asyncio.Task[None] | None = None
        self._mp4: Fmp4 | None = None
        self._size = (0, 0)
        self._generation = 0
        self._last_key = 0  # media time

    def choose(self, output: Output) -> None:
        """Sends ``output`` from now on, in place of what was chosen before."""
        self.close()
        self.chosen = output
        self._needs_key = True
        self._mp4 = Fmp4() if output.video == "fmp4" else None
        if output.video in ("h264", "fmp4"):
            self._broadcast.join(self._audience)
        elif output.video in STILLS:
            self._stills = asyncio.create_task(self._make_stills(*STILLS[output.video]), name="stills of a stream")

    def close(self) -> None:
        """Stops sending."""
        self.chosen = Output()
        self._broadcast.leave(self._audience)
        self._pictures.clear()
        self._mp4 = None
        if self._stills is not None:
            self._stills.cancel()
            self._stills = None

    # --- as a sink

    def sound(self, chunk: SpeechChunk) -> None:
        if self.chosen.audio == "pcm16":
            self._send(Kind.AUDIO_PCM16, Flags.NONE, chunk.at, chunk.samples.astype("<i2").tobytes())
        if self._mp4 is not None:
            for data, flags in self._mp4.sound(chunk):
                self._send(Kind.FMP4, flags, chunk.at, data)

    def picture(self, frame: VideoFrame) -> None:
        self._size = (frame.picture.width, frame.picture.height)
        if self._stills is None or self._late():
            return
        self._pictures.append(frame)
        if len(self._pictures) > _PICTURE_BOUND:
            self._pictures.popleft()
            self.dropped += 1
        self._filled.set()

    def clear(self, cleared: Cleared) -> None:
        self._generation = cleared.generation
        self._pictures.clear()
        if self._mp4 is not None:
            self._mp4.clear()

    # --- encoding

    def h264(self, encoded: Encoded) -> None:
        """Sends one picture. Those that cannot be decoded without one that was left out are left out too."""
        if self._late() or (self._needs_key and not encoded.key):
            if not self._needs_key:
                self._needs_key = True
                self._broadcast.refresh(self._audience)
            return
        self._needs_key = False
        at = encoded.at
        if self._mp4 is None:
            self._send(Kind.VIDEO_H264, Flags.KEYFRAME if encoded.key else Flags.NONE, at, encoded.data)
            return
        self._last_key = at if encoded.key else self._last_key
        if at - self._last_key > KEY_INTERVAL:
            self._broadcast.refresh(self._audience)
        for data, flags in self._mp4.picture(encoded.data, encoded.timestamp, *self._size, key=encoded.key):
            self._send(Kind.FMP4, flags, at, data)

    async def _make_stills(self, kind: Kind, encode: Callable[[Picture], bytes]) -> None:
        while True:
            while not self._pictures:
                self._filled.clear()
                await self._filled.wait()
            frame, generation = self._pictures.popleft(), self._generation
            data = await self._codecs.run(encode, frame.picture)
            if generation == self._generation:  # no barge-in came meanwhile
                self._send(kind, Flags.KEYFRAME, frame.at, data)


class _Audience:
    """Takes encoded media from the broadcast, whose ``sound`` and ``picture`` differ from a sink's."""

    codec: str | None = "h264"
    rate = MAX_BITRATE

    def __init__(self, output: StreamOutput) -> None:
        self._output = output

    def sound(self, encoded: Encoded) -> None:
        """Ignores encoded sound: it leaves as samples."""

    def picture(self, encoded: Encoded) -> None:
        self._output.h264(encoded)


def jpeg_of(picture: Picture) -> bytes:
    """Returns a picture as JPEG; takes about 5 ms for 512 x 512."""
    return _encoded(".jpg", picture.rgb()[:, :, ::-1], (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))


def png_of(picture: Picture) -> bytes:
    """Returns a picture as PNG, transparent where its person was cut out; takes about 10 ms for 512 x 512."""
    return _encoded(".png", _bgra(picture), (cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL))


def webp_of(picture: Picture) -> bytes:
    """Returns a picture as lossy WebP, whose alpha is exact; takes about 30 ms for 512 x 512."""
    return _encoded(".webp", _bgra(picture), (cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY))


def _bgra(picture: Picture) -> NDArray[np.uint8]:
    seen = picture.cutout or picture
    bgr = seen.rgb()[:, :, ::-1]
    return bgr if seen.matte is None else np.dstack([bgr, seen.matte.alpha])


def _encoded(ending: str, pixels: NDArray[np.uint8], options: Sequence[int]) -> bytes:
    done, data = cv2.imencode(ending, pixels, options)
    assert done
    return bytes(data)


STILLS: dict[str, tuple[Kind, Callable[[Picture], bytes]]] = {
    "jpeg": (Kind.VIDEO_JPEG, jpeg_of),
    "png": (Kind.VIDEO_PNG, png_of),
    "webp": (Kind.VIDEO_WEBP, webp_of),
}
"""Encoders of pictures that need no other, by the names that clients ask with."""
