"""``GET /v1/sessions/{id}/stream``: a WebSocket of subprotocol ``mytalk.v1`` (PROTOCOL.md). The shell around a stream.

What is wrong with a request before it is a WebSocket is an HTTP answer; from then on it is an ``error`` message and a
close code, because that is all a browser shows of it.
"""

from __future__ import annotations

import asyncio
import logging

from aiohttp import WSMsgType, web

from mytalk.errors import MyTalkError
from streamer.client_stream.resumption import ResumableStream
from streamer.client_stream.stream import Stream
from streamer.clock import MILLISECOND_NS, SECOND_NS, Clock
from streamer.errors import ProtocolError, RequestError
from streamer.http.authorization import Authorization
from streamer.protocol.codec import SUBPROTOCOL, to_text
from streamer.protocol.messages import MESSAGE_BYTES, Error
from streamer.protocol.packets import HEADER

log = logging.getLogger(__name__)

SILENCE = 15 * SECOND_NS
"""A connection on which nothing comes for so long, not even an answer to our pings, is taken for broken."""

GOODBYES = (1000, 1001)
"""Close codes of a client that goes on purpose: there is nothing to resume."""

TAKEN_OVER = 4000
"""Close code of a connection whose stream was resumed on another one."""

_PING = 5 * SECOND_NS
_TICK = SECOND_NS // 2
_PAUSE = 20 * MILLISECOND_NS  # between two looks whether speech may be read again
_FAREWELL = 2 * SECOND_NS  # for the last messages to leave
_TURN = 16  # messages after which others get theirs


class StreamRoute:
    """The route."""

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
            autoping=False,
            timeout=2,
            max_msg_size=MESSAGE_BYTES + HEADER.size,
        )
        await socket.prepare(request)
        try:
            session = self._access.session(request, "own")
            stream = session.open_stream(request.query.get("resume"))
        except ProtocolError as error:
            await _refuse(socket, error.code, str(error), 1008)
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
    """One connection of a stream; it lasts until the client goes, the session ends, or another one takes over."""

    def __init__(self, socket: web.WebSocketResponse, place: ResumableStream, stream: Stream, clock: Clock) -> None:
        self._socket = socket
        self._place = place
        self._stream = stream
        self._clock = clock
        self._heard_at = clock.now()
        self._paused = False
        self._left = False  # its client said goodbye
        self._over_since: int | None = None

    async def run(self) -> None:
        """Carries messages both ways. Raises nothing but ``CancelledError``."""
        self._place.connect(self)
        tasks = [asyncio.create_task(work) for work in (self._read(), self._write(), self._watch())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionError):
                    log.error("a stream's connection failed", exc_info=outcome)
            self._place.disconnect(self, left=self._left)

    async def give_way(self) -> None:
        """Another connection carries the stream from here on."""
        await self._socket.close(code=TAKEN_OVER, message=b"resumed elsewhere")

    async def _read(self) -> None:
        """Takes in what comes."""
        count = 0
        while True:
            while self._stream.full:
                self._paused = True
                await self._clock.sleep_until(self._clock.now() + _PAUSE)
            self._paused = False
            message = await self._socket.receive()
            self._heard_at = self._clock.now()
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                self._stream.take(message.data)
            elif message.type is WSMsgType.PING:
                await self._socket.pong(message.data)
            elif message.type is not WSMsgType.PONG:
                self._left = message.type is WSMsgType.CLOSE and message.data in GOODBYES
                return
            count += 1
            if count % _TURN == 0:
                await asyncio.sleep(0)

    async def _write(self) -> None:
        """Sends what there is, and closes after the last message."""
        stream = self._stream
        while self._place.carrier is self:
            data = stream.next()
            if data is None and stream.over is not None:
                await self._socket.close(code=stream.over)
                return
            if data is None:
                stream.wake.clear()
                await stream.wake.wait()
            elif isinstance(data, str):
                await self._socket.send_str(data)
            else:
                await self._socket.send_bytes(data)

    async def _watch(self) -> None:
        """Returns when the connection is to be given up."""
        pinged = self._clock.now()
        while True:
            await self._clock.sleep_until(self._clock.now() + _TICK)
            now = self._clock.now()
            self._stream.tick()
            if self._paused:
                self._heard_at = now
            if now - self._heard_at > SILENCE:
                return
            if now - pinged > _PING:
                pinged = now
                await self._socket.ping()
            if self._stream.over is not None:
                self._over_since = self._over_since or now
                if now - self._over_since > _FAREWELL:
                    return
