"""Keeps the connection of one stream up: what breaks is resumed, and nothing is lost or comes twice."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from mytalk_client.errors import ClientError, LostError, RefusedError
from mytalk_client.messages import SUBPROTOCOL, Ack, Error, Message, SessionCreated, SessionResumed, parse, text

RESUME_SECONDS = 10.0
"""How long a server waits for a stream whose connection broke."""

_ACK_SECONDS = 1.0
_PING_SECONDS = 5.0
_SILENCE_SECONDS = 7.0  # after a ping, without an answer: the connection is taken for broken
_PAUSES = (0.0, 0.1, 0.2, 0.4, 0.8)  # seconds between two tries; the last one again and again
_TAKEN_OVER = 4000


class SentLog:
    """Keeps what was sent and is not acknowledged, and counts the speech that waits to be played. Sans-IO."""

    def __init__(self) -> None:
        self._entries: deque[tuple[str | bytes, int]] = deque()  # message, milliseconds of speech in it
        self._first = 0  # number of the first entry
        self._sent = 0  # of the entries, over this connection
        self._buffered = 0  # milliseconds, as the server last said
        self._unplayed = 0  # milliseconds in the entries

    def add(self, data: str | bytes, milliseconds: int = 0) -> None:
        """Appends the next counted message."""
        self._entries.append((data, milliseconds))
        self._unplayed += milliseconds

    @property
    def ahead_ms(self) -> int:
        """Returns the milliseconds of speech that were given and not yet played, as far as is known."""
        return self._buffered + self._unplayed

    def next(self) -> str | bytes | None:
        """Returns what is to be sent now, or None."""
        if self._sent >= len(self._entries):
            return None
        self._sent += 1
        return self._entries[self._sent - 1][0]

    def acknowledge(self, received: int, buffered_ms: int | None = None) -> None:
        """Forgets the first ``received`` messages, which the server has; ``buffered_ms`` of speech wait there."""
        while self._first < received and self._entries:
            self._unplayed -= self._entries.popleft()[1]
            self._first += 1
            self._sent = max(0, self._sent - 1)
        if buffered_ms is not None:
            self._buffered = buffered_ms

    def rewind(self, received: int) -> None:
        """Begins another connection: what the server does not have is sent again."""
        self.acknowledge(received)
        self._sent = 0


class Link:
    """Carries one stream, as a task. ``deliver`` gets each message once, in order, while ``room`` is set.

    ``opened`` is set by the first connection. ``run`` returns when the server has said its last word, and raises
    ``RefusedError`` or ``LostError`` otherwise.
    """

    def __init__(self, url: str, token: str, deliver: Callable[[Message], None], room: asyncio.Event) -> None:
        self.log = SentLog()
        self.opened = asyncio.Event()
        self.changed = asyncio.Event()  # an acknowledgement has come
        self._url = "ws" + url.removeprefix("http")
        self.token = token  # of the next connection
        self._deliver = deliver
        self._room = room
        self._wake = asyncio.Event()
        self._urgent: deque[str] = deque()  # uncounted; a handful at most
        self._received = 0  # counted messages of the server
        self._arrived = 0  # messages, counted or not
        self._greeted = False
        self._socket: ClientConnection | None = None

    def send(self, data: str | bytes, milliseconds: int = 0) -> None:
        """Queues a counted message, for this connection or the next."""
        self.log.add(data, milliseconds)
        self._wake.set()

    async def close(self) -> None:
        """Closes the stream, so that the server does not wait for another connection; ``run`` returns."""
        if self._socket is not None:
            await self._socket.close()

    async def run(self) -> None:
        """Connects, and again whenever the connection breaks, for as long as the server waits."""
        loop = asyncio.get_running_loop()
        lost_at, tries = loop.time(), 0
        while True:
            try:
                async with self._connect() as self._socket:
                    socket = self._socket
                    await self._greet(socket)
                    tries = 0
                    await self._carry(socket)
            except ConnectionClosed as closed:
                if closed.rcvd is not None:  # the server closed it
                    _raise_for_code(closed.rcvd.code)
                    return
                reason: Exception = closed
            except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
                reason = error
            lost_at = loop.time() if tries == 0 else lost_at
            if not self._greeted or loop.time() - lost_at > RESUME_SECONDS:
                raise LostError(f"no connection to {self._url}: {reason}") from reason
            await asyncio.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
            tries += 1

    def _connect(self) -> connect:
        return connect(
            self._url + (f"?resume={self._received}" if self._greeted else ""),
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            additional_headers={"Authorization": f"Bearer {self.token}"},
            compression=None,
            max_size=None,
            max_queue=4,
            close_timeout=2,
            ping_interval=None,  # its pongs wait behind what the program does not read yet: _watch knows of that
        )

    async def _greet(self, socket: ClientConnection) -> None:
        message, _ = _parsed(await socket.recv())
        if isinstance(message, Error):
            raise RefusedError(message.message, message.code)
        if isinstance(message, SessionResumed):
            self.log.rewind(message.received)
        elif not isinstance(message, SessionCreated):
            raise ClientError(f"the server began with {message} (need session.created)")
        self._greeted = True
        self._urgent.clear()
        self._wake.set()
        self._deliver(message)
        self.opened.set()

    async def _carry(self, socket: ClientConnection) -> None:
        """Carries messages both ways until the connection closes. Raises ``ConnectionClosed``."""
        works = (self._read(socket), self._write(socket), self._acknowledge(), self._watch(socket))
        tasks = [asyncio.create_task(work) for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        raise next((one for one in failures if not isinstance(one, ConnectionClosed)), failures[0])

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            await self._room.wait()
            message, counted = _parsed(await socket.recv())
            self._received += counted
            self._arrived += 1
            if isinstance(message, Ack):
                self.log.acknowledge(message.received, message.buffered_ms)
                self.changed.set()
            elif message is not None:
                self._deliver(message)
            if isinstance(message, Error) and message.fatal:
                raise RefusedError(message.message, message.code)

    async def _write(self, socket: ClientConnection) -> None:
        while True:
            data = self._urgent.popleft() if self._urgent else self.log.next()
            if data is None:
                self._wake.clear()
                await self._wake.wait()
            else:
                await socket.send(data)

    async def _acknowledge(self) -> None:
        acknowledged = 0
        while True:
            await asyncio.sleep(_ACK_SECONDS)
            if acknowledged != self._received:
                acknowledged = self._received
                self._urgent.append(text("ack", received=acknowledged))
                self._wake.set()

    async def _watch(self, socket: ClientConnection) -> None:
        """Pings. Raises ``TimeoutError`` on a connection that carries nothing any more."""
        while True:
            await asyncio.sleep(_PING_SECONDS)
            arrived = self._arrived
            try:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    await (await socket.ping())
            except TimeoutError:
                if self._room.is_set() and self._arrived == arrived:
                    raise TimeoutError(f"nothing came for {_SILENCE_SECONDS:.0f} s") from None


def _parsed(data: str | bytes) -> tuple[Message | None, bool]:
    try:
        return parse(data)
    except ValueError as error:
        raise ClientError(f"the server sent what is no message of {SUBPROTOCOL} ({error})") from error


def _raise_for_code(code: int) -> None:
    if code == _TAKEN_OVER:
        raise LostError("the stream was resumed by another program")
    if code not in (1000, 1001):
        raise LostError(f"the server closed the connection (code {code})")
