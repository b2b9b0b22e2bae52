"""Serves ``GET /v1/sessions/{id}/stream``, a WebSocket of subprotocol ``mytalk.v1`` (PROTOCOL.md).

What is wrong with a request before it is a WebSocket is an HTTP answer; from then on it is an ``error`` message and a
close code, because that is all a browser shows of it.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from aiohttp import WSMsgType, web

from mytalk.errors import MyTalkError
from streamer.client_stream.replay_buffer import HOPELESS
from streamer.client_stream.resumption import ResumableStream
from streamer.client_stream.stream import Stream
from streamer.clock import SECOND_NS, Clock
from streamer.errors import RequestError
from streamer.http.authorization import Authorization
from streamer.protocol.codec import SUBPROTOCOL, to_text
from streamer.protocol.messages import MESSAGE_BYTES, Error
from streamer.protocol.packets import HEADER

log = logging.getLogger(__name__)

HEARTBEAT = 24.0
"""Seconds without a byte of the client after which aiohttp pings it; after half as many more the connection is taken
for broken. Both make more than the 30 s (``buffer_ms`` less ``pause_ms``) in which reading may rest, and pongs wait."""

GOODBYES = (1000, 1001)
"""Close codes of a client that goes on purpose: there is nothing to resume."""

TAKEN_OVER = 4000
"""Close code of a connection whose stream was resumed on another one."""

CLOSE_WAIT = 2.0
"""Seconds in which a client has to answer the server's close frame."""

_ACK_PAUSE = SECOND_NS // 2
_FAREWELL = 2 * SECOND_NS  # for the last messages to leave
_BURST = 16  # messages after which others get theirs
_BURST_BYTES = 64 << 10  # likewise: a second of speech at 32 kHz, which may be resampled at once


class StreamRoute:
    """Serves the route."""

    def __init__(self, access: Authorization, clock: Clock) -> None:
        self._access = access
        self._clock = clock

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serves one connection until it or the session ends."""
        offered = request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        if SUBPROTOCOL not in (one.strip() for one in offered):
            raise RequestError(f"no WebSocket of subprotocol {SUBPROTOCOL} (need it in Sec-WebSocket-Protocol)")
        socket = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            compress=False,
            heartbeat=HEARTBEAT,
            timeout=CLOSE_WAIT,
            max_msg_size=MESSAGE_BYTES + HEADER.size,
        )
        await socket.prepare(request)
        try:
            session = self._access.session(request, "own")
            stream = session.open_stream(request.query.get("resume"))
        except MyTalkError as error:
            await _refuse(socket, getattr(error, "code", "failed"), str(error), error.close_code)
        else:
            await Connection(socket, session.streaming, stream, self._clock).run()
            if request.transport is not None and not socket.closed:
                request.transport.abort()
        return socket


async def _refuse(socket: web.WebSocketResponse, code: str, message: str, close_code: int) -> None:
    await socket.send_str(to_text(Error(code, message, fatal=True)))
    await socket.close(code=close_code, message=code.encode())


class Connection:
    """Carries a stream until the client goes, the session ends, or another connection takes over."""

    def __init__(
        self, socket: web.WebSocketResponse, resumption: ResumableStream, stream: Stream, clock: Clock
    ) -> None:
        self._socket = socket
        self._resumption = resumption
        self._stream = stream
        self._clock = clock
        self._left = False  # its client said goodbye
        self._closes = False  # this end does
        self._closed = asyncio.Event()  # by this end
        self._reading: asyncio.Task[None]

    async def run(self) -> None:
        """Carries messages both ways. Raises nothing but ``CancelledError``."""
        self._resumption.connect(self)
        self._reading = asyncio.create_task(self._read())
        works = (self._write(), self._acknowledge(), self._farewell(), self._closed.wait())
        others = [asyncio.create_task(work) for work in works]
        try:
            await asyncio.wait([self._reading, *others], return_when=asyncio.FIRST_COMPLETED)
            if self._closes:
                await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks = [self._reading, *others]
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionError):
                    log.error("a stream's connection failed", exc_info=outcome)
            self._resumption.disconnect(self, left=self._left)

    async def give_way(self) -> None:
        """Closes the connection: another one carries the stream from here on."""
        await self._close(TAKEN_OVER, b"resumed elsewhere")

    async def _close(self, code: int, message: bytes = b"") -> None:
        """Closes the connection, and reads on until the client has answered, for ``CLOSE_WAIT`` at most. A socket that
        is closed while bytes come in is reset, and the client's system drops the close code with what it has not read.
        """
        self._closes = True
        self._reading.cancel()  # aiohttp waits for the answer only where nobody else reads
        await asyncio.wait({self._reading})
        try:
            with suppress(TimeoutError):  # the client reads nothing
                async with asyncio.timeout(2 * CLOSE_WAIT):
                    await self._socket.close(code=code, message=message)
        finally:
            self._closed.set()

    async def _read(self) -> None:
        """Takes in what comes, and rests while too much speech waits. Returns when the client has gone."""
        count = size = 0
        while True:
            await self._stream.room()
            message = await self._socket.receive()
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._left = message.type is WSMsgType.CLOSE and message.data in GOODBYES
                return
            self._stream.take(message.data)
            count, size = count + 1, size + len(message.data)
            if count >= _BURST or size >= _BURST_BYTES:
                count = size = 0
                await asyncio.sleep(0)

    async def _write(self) -> None:
        """Sends what there is, and closes after the last message. Returns where the connection is hopelessly slow."""
        stream = self._stream
        while self._resumption.carrier is self:
            data = stream.next()
            if data is None and stream.over is not None:
                await self._close(stream.over)
                return
            if data is None:
                stream.wake.clear()
                await stream.wake.wait()
                continue
            try:
                async with asyncio.timeout(HOPELESS / SECOND_NS):
                    await (self._socket.send_str(data) if isinstance(data, str) else self._socket.send_bytes(data))
            except TimeoutError:
                stream.give_up()
                return

    async def _acknowledge(self) -> None:
        """Acknowledges twice a second, as long as the client sends or its speech waits."""
        while True:
            await self._stream.changed.wait()
            await self._clock.sleep_until(self._clock.now() + _ACK_PAUSE)
            self._stream.acknowledge()

    async def _farewell(self) -> None:
        """Returns when the last messages of a stream that is over have had their time."""
        await self._stream.ended.wait()
        await self._clock.sleep_until(self._clock.now() + _FAREWELL)
