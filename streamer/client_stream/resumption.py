"""Keeps a session's stream alive from one connection to the next, for as long as a cut may last."""

from __future__ import annotations

import asyncio
from typing import Protocol

from mytalk.picture import VideoFrame
from streamer.client_stream.stream import Host, Stream
from streamer.clock import MILLISECOND_NS, Clock
from streamer.errors import ConflictError, ProtocolError
from streamer.executors import Pool
from streamer.media.audio import SpeechChunk
from streamer.protocol.generation import Cleared
from streamer.protocol.messages import Limits, SessionEnded

RESUME_WAIT = Limits().resume_ms * MILLISECOND_NS
"""A stream whose connection broke waits this long for another one."""

STOPPING = "the server is stopping"


class Carrier(Protocol):
    """Is a connection, as the stream sees it."""

    async def give_way(self) -> None:
        """Closes the connection: another one carries the stream from here on."""


class ResumableStream:
    """Holds the one stream of a session. A sink of the pacer: released media goes to the stream, if there is one."""

    def __init__(self, host: Host, clock: Clock, codecs: Pool) -> None:
        self.stream: Stream | None = None
        self._host = host
        self._clock = clock
        self._codecs = codecs
        self.carrier: Carrier | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: asyncio.Task[None] | None = None  # for a carrier

    @property
    def state(self) -> str | None:
        """Returns ``open``, ``cut`` (the stream waits to be resumed), or None where there is no stream."""
        if self.stream is None:
            return None
        return "open" if self.carrier is not None else "cut"

    # --- for connections

    def open(self) -> Stream:
        """Returns a new stream. Raises ``ConflictError`` where one has its connection."""
        if self.carrier is not None:
            raise ConflictError("the session's stream is open already (one at a time: resume it, or close it first)")
        self._end_stream("another stream began", 1000)
        self.stream = Stream(self._host, self._clock, self._codecs)
        return self.stream

    def resume(self, received: str) -> Stream:
        """Returns the stream, to go on after ``received`` messages. Raises ``ProtocolError``: ``cannot_resume``."""
        if self.stream is None:
            raise ProtocolError("cannot_resume", "there is no stream to resume (begin anew)", fatal=True)
        if not received.isascii() or not received.isdecimal() or len(received) > 16:
            raise ProtocolError("cannot_resume", f"resume={received[:20]!r} (need a count of messages)", fatal=True)
        self.stream.resume(int(received))
        return self.stream

    def connect(self, carrier: Carrier) -> None:
        """Lets a connection carry the stream from now on; the one before gives way."""
        previous, self.carrier = self.carrier, carrier
        if previous is not None:
            task = asyncio.create_task(previous.give_way(), name="a stream's connection gives way")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def disconnect(self, carrier: Carrier, *, left: bool) -> None:
        """Takes the stream from a connection.

        ``left``: its client said goodbye; otherwise another connection may come.
        """
        if carrier is not self.carrier:
            return
        self.carrier = None
        if left or self.stream is None or self.stream.over is not None:
            self._gone()
        else:
            self.stream.cut()
            self._waiting = asyncio.create_task(self._wait(), name="a stream waits for its client")

    # --- for the session

    def close(self, reason: str, *, failed: bool) -> None:
        """Ends the stream with its session."""
        code = 1011 if failed else 1001 if reason == STOPPING else 1000
        self._end_stream(reason, code)
        if self._waiting is not None:
            self._waiting.cancel()

    def sound(self, chunk: SpeechChunk) -> None:
        if self.stream is not None:
            self.stream.output.sound(chunk)

    def picture(self, frame: VideoFrame) -> None:
        if self.stream is not None:
            self.stream.output.picture(frame)

    def clear(self, cleared: Cleared) -> None:
        if self.stream is not None:
            self.stream.output.clear(cleared)

    async def _wait(self) -> None:
        await self._clock.sleep_until(self._clock.now() + RESUME_WAIT)
        self._waiting = None
        self._gone()

    def _gone(self) -> None:
        self._end_stream("its client left", 1000)
        self._host.without_stream()

    def _end_stream(self, reason: str, code: int) -> None:
        if self.stream is not None:
            self.stream.end(SessionEnded(reason), code)
            self.stream = None
