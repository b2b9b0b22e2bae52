"""Reads a webcam, or a stream from the network, by PyAV on a thread of its own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from typing import Literal

import av

from mytalk.errors import InputError
from mytalk.picture import Picture
from streamer.media.audio import OUTPUT_RATE, Stereo, stereo_of

OPEN_SECONDS, READ_SECONDS = 10.0, 10.0
"""How long a device or server may take to open, and then to give the next packet."""

_WEBCAMS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}
_STREAMS = ("rtsp://", "rtmp://", "rtmps://", "srt://", "http://", "https://", "udp://", "rtp://")

Kind = Literal["pictures", "sound"]


class Inbound:
    """Decodes one track of ``source`` as it comes: a webcam's name (on Linux ``/dev/video0``), or a stream's URL.

    ``pictures`` and ``sound`` are called on its thread: a picture with its pts and time base, sound at 48 kHz
    ``(n, 2)``. ``ended`` is called once with why nothing more comes. Raises ``InputError`` where it cannot be opened.
    """

    def __init__(
        self,
        source: str,
        kind: Kind,
        *,
        pictures: Callable[[Picture, int, Fraction], None] = lambda *_: None,
        sound: Callable[[Stereo], None] = lambda _: None,
        ended: Callable[[str], None] = lambda _: None,
        size: tuple[int, int] = (1280, 720),
    ) -> None:
        self._source, self._kind = source, kind
        self._pictures, self._sound, self._ended = pictures, sound, ended
        self._closing = threading.Event()
        try:
            self._container = _open(source, size)
        except (OSError, ValueError) as error:
            raise InputError(f"{source}: {error} (need a webcam, or the URL of a stream)") from error
        streams = self._container.streams.video if kind == "pictures" else self._container.streams.audio
        if not streams:
            self._container.close()
            raise InputError(f"{source}: no {kind} in it")
        self._stream = streams[0]
        video = self._container.streams.video
        self.size = (video[0].width, video[0].height) if video else (0, 0)
        self._thread = threading.Thread(target=self._run, name=f"inbound {kind}", daemon=True)

    def start(self) -> None:
        """Begins to read."""
        self._thread.start()

    def close(self) -> None:
        """Ends reading; the thread closes the device within the packet under way, ``READ_SECONDS`` at most."""
        self._closing.set()
        if self._thread.ident is None:
            self._container.close()

    def _run(self) -> None:
        reason = "it ended"
        try:
            self._read()
        except (OSError, ValueError) as error:
            reason = str(error)
        finally:
            self._container.close()
        if not self._closing.is_set():
            self._ended(f"{self._source}: {reason}")

    def _read(self) -> None:
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=OUTPUT_RATE)
        for frame in self._container.decode(self._stream):
            if self._closing.is_set():
                return
            if isinstance(frame, av.VideoFrame) and frame.pts is not None and frame.time_base is not None:
                self._pictures(Picture.from_av(frame), frame.pts, Fraction(frame.time_base))
            elif isinstance(frame, av.AudioFrame):
                for out in resampler.resample(frame):
                    self._sound(stereo_of(out))


def _open(source: str, size: tuple[int, int]) -> av.container.InputContainer:
    timeout = (OPEN_SECONDS, READ_SECONDS)
    if source.startswith(_STREAMS):
        return av.open(source, timeout=timeout, options={"fflags": "nobuffer"})
    form = _WEBCAMS.get(sys.platform)
    name = f"video={source}" if form == "dshow" else source
    options = {"video_size": f"{size[0]}x{size[1]}", "framerate": "30"}
    return av.open(name, format=form, timeout=timeout, options=options)
