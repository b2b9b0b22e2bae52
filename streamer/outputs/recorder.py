"""Writes a session's media into an MP4 file (``record``) or to a streaming server (``push``: RTMP, SRT).

A recording is a sink of the pacer for sound, and one of the broadcast's audience for pictures: the bytes that viewers
of H264 get. Files and networks may stand still, so each recording has a thread of its own that writes.
"""

from __future__ import annotations

import asyncio
import io
import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import av

from mytalk.errors import ServerError
from mytalk.media_time import SAMPLE_RATE
from mytalk.picture import VideoFrame
from streamer.media.audio import OUTPUT_RATE, SpeechChunk
from streamer.outputs import srt
from streamer.outputs.push_targets import FORMATS, scheme_of
from streamer.protocol.generation import Cleared
from streamer.webrtc.bitrate import START_BITRATE
from streamer.webrtc.broadcast import Broadcast
from streamer.webrtc.encoded import VIDEO_RATE, Encoded

log = logging.getLogger(__name__)

KEYFRAMES = 2 * VIDEO_RATE
"""Units between two keyframes at most: streaming servers cut there, and players seek there."""

CLOSE_TIMEOUT = 3.0
"""Seconds that the rest of a recording may take to be written. Then a program that it is written to is killed; after as
long again the thread is left to itself."""

_BOUND = 500  # items: about 7 s. Full (the disk or the network stands still): it ends, and an event says so.
_SPEECH_BITRATE = 128_000
_CONNECT_TIMEOUT = 5.0  # seconds
_FLUSHED = {"flush_packets": "1"}
_MP4 = {"movflags": "hybrid_fragmented+frag_keyframe", **_FLUSHED}  # can be played as far as it was written
_COMMENT = "Synthetic: the mouth was made to speak this sound by MyTalk streamer (live)"

_Item = SpeechChunk | Encoded | None


class Recorder:
    """Records from the first keyframe on. ``failed`` is called once, on the loop, with the reason of an early end."""

    def __init__(self, target: Path | str, broadcast: Broadcast, failed: Callable[[str], None]) -> None:
        self.target = target
        self._broadcast = broadcast
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._last_key = 0
        self._over = False
        self._sender = _sender(target)
        self._items: queue.Queue[_Item] = queue.Queue()
        self._written = asyncio.Event()  # the thread is done
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()
        self.pictures = _Pictures(self)
        broadcast.join(self.pictures)

    # --- a sink

    def sound(self, chunk: SpeechChunk) -> None:
        self._put(chunk)

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
            self._items.put(None)
        if await self._is_written():
            return
        if self._sender is not None:
            self._sender.kill()
            if await self._is_written():
                return
        log.error("a recording was not finished within %s s", CLOSE_TIMEOUT)

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
        self._put(encoded)

    def _put(self, item: SpeechChunk | Encoded) -> None:
        if self._over:
            return
        self._items.put(item)
        if self._items.qsize() > _BOUND:
            self._end("what it is written to stands still")

    def _end(self, reason: str) -> None:
        if not self._over:
            self._over = True
            self._items.put(None)
            if self._sender is not None:
                self._sender.kill()
            self._broadcast.leave(self.pictures)
            self._failed(reason)

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
                log.warning("a recording or push ended: %s", reason)
        finally:
            with suppress(RuntimeError):  # the loop has gone: nobody waits
                self._loop.call_soon_threadsafe(self._finished, reason)

    def _write(self) -> str | None:
        """Writes all items; gives the reason of an early end, else None."""
        reason = None
        try:
            while (item := self._items.get()) is not None:
                if isinstance(item, Encoded) and item.key:
                    self._write_from(item)
                    break
        except Exception as error:
            reason = str(error).split("; last error log")[0].split(":")[0]  # the target may hold a stream key
        if self._sender is not None:
            reason = self._sender.close() or reason
        return reason

    def _write_from(self, first: Encoded) -> None:
        path, kind = _destination(self.target)
        options = _MP4 if kind == "mp4" else _FLUSHED
        with av.open(io.BytesIO(first.data), format="h264") as source:
            destination: Any = self._sender or path
            container = av.open(destination, "w", format=kind, options=options, timeout=_CONNECT_TIMEOUT)
            video: Any = container.add_stream_from_template(source.streams.video[0])
        with container:
            container.metadata["comment"] = container.metadata["service_name"] = _COMMENT
            video.time_base = Fraction(1, VIDEO_RATE)
            audio: Any = container.add_stream("aac", rate=OUTPUT_RATE, layout="stereo")
            audio.bit_rate = _SPEECH_BITRATE
            began = first.at
            item: _Item = first
            while item is not None:
                if isinstance(item, Encoded):
                    container.mux(_packet(item, video, first.timestamp))
                elif item.at >= began:
                    container.mux(audio.encode(_frame(item, began)))
                item = self._items.get()
            container.mux(audio.encode(None))
        if isinstance(self.target, Path):
            Path(path).rename(self.target)


def make_folder(recordings: Path | None) -> None:
    """Makes the folder of recordings. Raises ``ServerError`` where nothing can be written into it."""
    if recordings is None:
        return
    try:
        recordings.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=recordings):
            pass
    except OSError as error:
        raise ServerError(f"--recordings {recordings}: {error.strerror} (need a folder to write into)") from error


class _Pictures:
    """Takes encoded pictures for a recording, as one of the broadcast's audience."""

    codec: str | None = "h264"
    rate = START_BITRATE

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def sound(self, encoded: Encoded) -> None:
        """Ignores Opus: a recording's sound is AAC, made of the samples."""

    def picture(self, encoded: Encoded) -> None:
        self._recorder.add(encoded)


def _destination(target: Path | str) -> tuple[str, str]:
    """Gives the path or URL to write to, and the format. A file takes its name when it is complete."""
    if isinstance(target, Path):
        return str(target.with_name(f".{target.name}.part")), "mp4"
    return target, FORMATS[scheme_of(target)]


def _sender(target: Path | str) -> srt.Sender | None:
    """Makes the program that sends to ``target``, where PyAV cannot."""
    if isinstance(target, Path) or scheme_of(target) != "srt" or srt.library_speaks():
        return None
    program = srt.program()
    return srt.Sender(target, program) if program is not None else None


def _packet(picture: Encoded, stream: Any, began: int) -> Any:
    packet: Any = av.Packet(picture.data)
    packet.pts = packet.dts = picture.timestamp - began
    packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, VIDEO_RATE), stream, picture.key
    return packet


def _frame(chunk: SpeechChunk, began: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(chunk.samples.reshape(1, -1), format="s16", layout="stereo")
    frame.sample_rate, frame.time_base = OUTPUT_RATE, Fraction(1, OUTPUT_RATE)
    frame.pts = (chunk.at - began) * (OUTPUT_RATE // SAMPLE_RATE)
    return frame
