"""Writes a session's media into an MP4 file, a transparent session's into WebM (``record``), or to a streaming server
(``push``: RTMP, SRT).

A recording is a sink of the pacer for sound, and one of the broadcast's audience for pictures: the bytes that viewers
of H264 get, or those of a codec with alpha. Files and networks may stand still, so each recording has a thread of its
own that writes.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av

from mytalk.picture import VideoFrame
from streamer.media.audio import SpeechChunk
from streamer.outputs import muxing, srt
from streamer.outputs.absence import AbsenceCut
from streamer.outputs.push_process import PushCommand
from streamer.outputs.push_targets import FORMATS, place_of, scheme_of
from streamer.outputs.recording_file import RecordingFile
from streamer.outputs.sender import Sender
from streamer.outputs.write_queue import Item, WriteQueue
from streamer.protocol.generation import Cleared
from streamer.webrtc.bitrate import START_BITRATE
from streamer.webrtc.broadcast import Broadcast
from streamer.webrtc.encoded import VIDEO_RATE, Encoded
from streamer.webrtc.video_encoder import TRANSPARENT

log = logging.getLogger(__name__)

KEYFRAMES = 2 * VIDEO_RATE
"""Units between two keyframes at most: streaming servers cut there, and players seek there."""

CLOSE_TIMEOUT = 3.0
"""Seconds that the rest of a recording may take to be written. Then a program that it is written to is killed; after as
long again the thread is left to itself."""


class Recorder:
    """Records from the first keyframe on. ``failed`` is called once, on the loop: which output ended early, and why.

    A file leaves the time out in which the camera is away; a push goes on, or its receiver would give it up.
    """

    def __init__(self, target: Path | str, broadcast: Broadcast, failed: Callable[[str], None]) -> None:
        self.name = "the recording" if isinstance(target, Path) else f"the push to {place_of(target)}"
        self._target = target
        self._broadcast = broadcast
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._last_key = 0
        self._is_transparent = isinstance(target, Path) and target.suffix == ".webm"
        self._absence = AbsenceCut() if isinstance(target, Path) else None
        self._over = False
        self._sender = None if isinstance(target, Path) else _sender(target)
        self._items = WriteQueue()
        self._written = asyncio.Event()  # the thread is done
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()
        self.pictures = _Pictures(self, TRANSPARENT if self._is_transparent else "h264")
        broadcast.join(self.pictures)

    # --- a sink

    def sound(self, chunk: SpeechChunk) -> None:
        if self._absence is None:
            self._put(chunk)
            return
        for item in self._absence.sound(chunk):
            self._put(item)
        if self._absence.needs_key:
            self._broadcast.refresh(self.pictures)

    def picture(self, frame: VideoFrame) -> None:
        """Ignores the picture: the broadcast gives it encoded."""

    def clear(self, cleared: Cleared) -> None:
        """Ignores a barge-in: media that has come here has left the pacer."""

    # --- for the session

    async def close(self) -> None:
        """Ends the recording and waits until it is written."""
        self._broadcast.leave(self.pictures)
        if not self._over:
            self._over = True
            self._items.close()
        if await self._is_written():
            return
        if self._sender is not None:
            self._sender.kill()
            if await self._is_written():
                return
        log.error("%s was not finished within %s s", self.name, CLOSE_TIMEOUT)

    async def _is_written(self) -> bool:
        """Waits for the thread to end without another thread; False after ``CLOSE_TIMEOUT``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._written.wait()
        return self._written.is_set()

    def add(self, encoded: Encoded) -> None:
        """Takes the next encoded picture."""
        if encoded.key:
            self._last_key = encoded.timestamp
        elif encoded.timestamp - self._last_key >= KEYFRAMES:
            self._last_key = encoded.timestamp
            self._broadcast.refresh(self.pictures)
        for item in self._absence.picture(encoded) if self._absence is not None else (encoded,):
            self._put(item)

    def _put(self, item: Item) -> None:
        if not self._over and not self._items.put(item):
            self._end("what it is written to stands still")

    def _end(self, reason: str) -> None:
        if not self._over:
            self._over = True
            self._items.close()
            if self._sender is not None:
                self._sender.kill()
            self._broadcast.leave(self.pictures)
            self._failed(f"{self.name} ended: {reason}")

    def _finished(self, reason: str | None) -> None:
        self._thread.join()  # it has nothing left to do
        self._written.set()
        if reason is not None:
            self._end(reason)

    # --- on its thread

    def _run(self) -> None:
        reason: str | None = "it could not be written"
        try:
            reason = self._write()
            if reason is not None:
                log.warning("%s ended: %s", self.name, reason)
        finally:
            with suppress(RuntimeError):  # the loop has gone: nobody waits
                self._loop.call_soon_threadsafe(self._finished, reason)

    def _write(self) -> str | None:
        """Writes all items; gives the reason of an early end, else None."""
        while (item := self._items.get()) is not None:
            if isinstance(item, Encoded) and item.key:
                break
        else:
            return None
        if self._sender is None:
            return self._write_file(item)
        return self._write_push(item, self._sender)

    def _write_file(self, first: Encoded) -> str | None:
        assert isinstance(self._target, Path)
        try:
            file = RecordingFile(self._target)
        except OSError as error:
            return _text(error)
        try:
            muxing.write(first, self._items.get, file, "webm" if self._is_transparent else "mp4")
            file.keep()
        except (OSError, av.FFmpegError) as error:
            kept = "it is kept up to there" if file.keep_what_plays() else "nothing of it could be kept"
            return f"{_text(file.failure or error)} ({kept})"
        return None

    def _write_push(self, first: Encoded, sender: Sender) -> str | None:
        reason = None
        try:
            muxing.write(first, self._items.get, sender, FORMATS[scheme_of(str(self._target))])
        except (OSError, av.FFmpegError) as error:
            reason = _text(error)
        finally:
            early = sender.close()
        return early or reason


class _Pictures:
    """Takes encoded pictures for a recording, as one of the broadcast's audience."""

    rate = START_BITRATE

    def __init__(self, recorder: Recorder, codec: str) -> None:
        self._recorder = recorder
        self.codec: str | None = codec

    def sound(self, encoded: Encoded) -> None:
        """Ignores Opus: a recording's sound is AAC, made of the samples."""

    def picture(self, encoded: Encoded) -> None:
        self._recorder.add(encoded)


def _sender(url: str) -> Sender:
    """Makes the process that sends to ``url``: ours, or a program where PyAV's FFmpeg does not speak its protocol."""
    if scheme_of(url) == "srt" and not srt.library_speaks() and (program := srt.program()) is not None:
        return Sender(srt.SrtCommand(url, program))
    return Sender(PushCommand(url))


def _text(error: OSError | av.FFmpegError) -> str:
    """Gives an error's own words, without the file or URL, which may hold a stream key."""
    return error.strerror or type(error).__name__
