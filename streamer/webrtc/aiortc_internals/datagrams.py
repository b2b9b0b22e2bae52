"""Bounds what one ICE connection of aioice 0.13 takes from the network, and the checks that it sends.

- aioice lets what its STUN parser raises reach the event loop, which logs a traceback for each datagram.
- It queues whatever comes from whatever address, without limit; aiortc's task ends on an empty datagram.
- It learns an address (RFC 8445, 7.3.1.3) and makes pairs from every check that a peer sends, without limit.
- It sends checks to every address that the peer names: a peer with a token could point them at others.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Iterable
from typing import Any, Self

from aioice.ice import CandidatePair, StunProtocol
from aioice.stun import Class, Message
from aiortc import RTCIceParameters, RTCIceTransport

from streamer.webrtc.rate_limit import RateLimit
from streamer.webrtc.refusals import Refusals

MOST_WAITING = 1024
"""Datagrams (1.5 kB each at most) that wait for DTLS and SRTP. Full: new ones are lost, as a network loses them."""

MOST_ADDRESSES = 100
"""The peer's addresses, named or learned, that one connection knows (RFC 8445, 6.1.2.5). More are not answered."""

CHECKS_PER_SECOND, CHECK_BURST = 20, 40
"""Checks, retransmissions included, to addresses that have not answered yet (RFC 8445, 14.2: one each 50 ms)."""

ERRORS_PER_SECOND, ERROR_BURST = 10, 20
"""Error responses to requests without our credentials. More requests are dropped."""

_TURN = 16  # datagrams after which others get their turn
_LAST_STUN = 3  # first byte of STUN: 0..3 (RFC 7983, 7)

Address = tuple[str, int]

_MALFORMED = (struct.error, LookupError, ValueError, TypeError, AttributeError, AssertionError)
"""Types that aioice 0.13 raises over datagrams."""


class DatagramGuard:
    """Guards one transport's datagrams. Make it before candidates are gathered."""

    def __init__(self, transport: RTCIceTransport, refusals: Refusals) -> None:
        connection: Any = transport._connection
        self._connection = connection
        self._transport: Any = transport
        self._guarded: list[StunProtocol] = []
        self._refusals = refusals
        self._checks = RateLimit(CHECKS_PER_SECOND, CHECK_BURST)
        self._errors = RateLimit(ERRORS_PER_SECOND, ERROR_BURST)
        self._in_turn = 0
        self._queue_data = connection.data_received
        self._learn, self._respond_error = connection.check_incoming, connection.respond_error
        self._receive, self._start = transport._recv, transport.start
        self.connecting: set[asyncio.Task[Any]] = set()  # aiortc's tasks that connect by this transport
        connection._protocols = _Protocols(self._guard)
        connection.data_received = self._on_data
        connection.check_incoming = self._on_check
        connection.respond_error = self._on_error
        transport._recv = self._next
        transport.start = self._connect  # type: ignore[method-assign, assignment]

    def release(self) -> None:
        """Leaves a transport that has closed, so that nothing refers to it in circles."""
        for protocol in self._guarded:
            for name in ("datagram_received", "send_stun"):
                vars(protocol).pop(name, None)
        self._guarded.clear()
        for name in ("data_received", "check_incoming", "respond_error", "get_component_candidates"):
            vars(self._connection).pop(name, None)
        for name in ("_recv", "start"):
            vars(self._transport).pop(name, None)
        self._connection._protocols = []
        for pair in self._connection._check_list:
            pair.task = None
        self._connection._check_list.clear()

    async def _connect(self, parameters: RTCIceParameters) -> None:
        """Notes which task connects: aiortc goes on with it after ``close``, and starts senders that nothing stops."""
        task = asyncio.current_task()
        assert task is not None
        self.connecting.add(task)
        task.add_done_callback(self.connecting.discard)
        del task  # cancelled, it would know this frame, and the frame it
        await self._start(parameters)

    def _guard(self, protocol: StunProtocol) -> None:
        """Guards one socket, or one allocation at a TURN server."""
        self._guarded.append(protocol)
        receive, send = protocol.datagram_received, protocol.send_stun

        def datagram_received(data: bytes | str, addr: tuple[Any, ...]) -> None:
            assert isinstance(data, bytes)
            if not data:
                self._refusals.add("malformed")
            elif data[0] <= _LAST_STUN:
                try:
                    receive(data, addr)
                except _MALFORMED:
                    self._refusals.add("malformed")
            elif self._knows((addr[0], addr[1])):
                self._on_data(data, protocol.local_candidate.component)
            else:
                self._refusals.add("stranger")

        def send_stun(message: Message, addr: Address) -> None:
            asks = message.message_class == Class.REQUEST
            if asks and not self._has_answered(addr) and not self._checks.take(1, time.monotonic()):
                self._refusals.add("check")
                return
            send(message, addr)

        protocol.datagram_received = datagram_received  # type: ignore[method-assign]
        protocol.send_stun = send_stun  # type: ignore[method-assign]

    def _on_data(self, data: bytes, component: int) -> None:
        if data[0] <= _LAST_STUN:  # aioice takes for data whatever it cannot parse
            self._refusals.add("malformed")
        elif self._connection._queue.qsize() >= MOST_WAITING:
            self._refusals.add("full")
        else:
            self._queue_data(data, component)

    def _on_check(self, message: Message, addr: Address, protocol: StunProtocol) -> None:
        if not self._knows(addr) and len(self._connection._remote_candidates) >= MOST_ADDRESSES:
            self._refusals.add("candidate")
            return
        self._learn(message, addr, protocol)

    def _on_error(self, request: Message, addr: Address, protocol: StunProtocol, code: tuple[int, str]) -> None:
        if self._errors.take(1, time.monotonic()):
            self._respond_error(request, addr, protocol, code)
        else:
            self._refusals.add("error")

    async def _next(self) -> bytes:
        """Gives the next datagram; a full queue would hold the event loop."""
        self._in_turn += 1
        if self._in_turn >= _TURN:
            self._in_turn = 0
            await asyncio.sleep(0)
        return await self._receive()

    def _knows(self, addr: Address) -> bool:
        """Whether the peer has named the address, or has shown its credentials from there."""
        connection = self._connection
        return any(pair.remote_addr == addr for pair in connection._nominated.values()) or any(
            one._network_host == addr[0] and one.port == addr[1] for one in connection._remote_candidates
        )

    def _has_answered(self, addr: Address) -> bool:
        pairs = [*self._connection._nominated.values(), *self._connection._check_list]
        return any(pair.state is CandidatePair.State.SUCCEEDED and pair.remote_addr == addr for pair in pairs)


class _Protocols(list[StunProtocol]):
    """Stands where aioice keeps its sockets, and guards each as it is added."""

    def __init__(self, guard: Callable[[StunProtocol], None]) -> None:
        super().__init__()
        self._guard = guard

    def __iadd__(self, protocols: Iterable[StunProtocol]) -> Self:  # type: ignore[misc, override]
        for protocol in protocols:
            self.append(protocol)
        return self

    def append(self, protocol: StunProtocol) -> None:
        """Adds a socket."""
        self._guard(protocol)
        super().append(protocol)
