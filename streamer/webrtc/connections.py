"""Keeps a session's WebRTC connections: its publisher and its viewers, whether they still live, and their traffic."""

from __future__ import annotations

import asyncio
from collections import Counter

from streamer.clock import SECOND_NS, Clock
from streamer.errors import BusyError, ConflictError
from streamer.webrtc.connection import Connection
from streamer.webrtc.liveness import PAUSE, Liveness
from streamer.webrtc.viewer import Viewer

MOST_VIEWERS = 200
"""Viewers of one session at a time."""

RETRY_VIEWER = 10
"""Seconds after which a viewer that was refused may ask again."""

_POLL = SECOND_NS // 10  # between two looks at a publisher that may have gone


class Connections:
    """Holds the connections of one session. Their bytes are counted in ``traffic``, by way and direction."""

    def __init__(self, traffic: Counter[tuple[str, str]]) -> None:
        self.publisher: Connection | None = None  # the peer of a call, or a WHIP connection
        self.viewers: dict[str, Viewer] = {}
        self.claimed = False  # by the publisher, or by one whose offer is being answered
        self._traffic = traffic
        self._carried: dict[str, tuple[int, int]] = {}  # bytes received and sent, by id, counted so far
        self._liveness: dict[str, Liveness] = {}  # by id
        self._past_packets = 0  # sent to viewers that have gone
        self._past_refusals = Counter[str]()  # of connections that have gone, by reason

    def claim(self) -> None:
        """Reserves the session for one publisher. Raises ``ConflictError`` while another has it."""
        if self.claimed:
            raise ConflictError(
                "the session has its publisher or its call already (end that one, or make another session)"
            )
        self.claimed = True

    def release(self) -> None:
        """Lets another publisher claim the session."""
        self.claimed = False

    async def take_over(self, clock: Clock, *, replaceable: bool) -> None:
        """Claims the session, and closes a ``replaceable`` publisher that sends nothing for ``PAUSE``. Raises
        ``ConflictError`` where the publisher still sends."""
        old = self.publisher
        if old is None or not replaceable or not await self._silent(old, clock) or self.publisher is not old:
            self.claim()
            return
        self.forget(old)
        self.claim()
        try:
            await old.close()
        except BaseException:
            self.release()
            raise

    async def _silent(self, connection: Connection, clock: Clock) -> bool:
        """Whether no datagram comes for ``PAUSE``."""
        received = await connection.datagrams()
        for _ in range(PAUSE // _POLL):
            if connection.gone.is_set():
                return True
            await clock.sleep_until(clock.now() + _POLL)
            if await connection.datagrams() != received:
                return False
        return True

    def check_room(self) -> None:
        """Raises ``BusyError`` where the session has as many viewers as it may."""
        if len(self.viewers) >= MOST_VIEWERS:
            raise BusyError(f"all {MOST_VIEWERS} places of viewers are taken (ask again)", RETRY_VIEWER)

    def all(self) -> list[Connection]:
        """Lists the viewers and the publisher."""
        return [*self.viewers.values(), *([self.publisher] if self.publisher is not None else [])]

    @property
    def viewer_packets(self) -> int:
        """RTP packets sent to viewers so far."""
        return self._past_packets + sum(viewer.packets for viewer in self.viewers.values())

    @property
    def refusals(self) -> Counter[str]:
        """Datagrams that were not taken or not answered so far, by reason."""
        return sum((Counter[str](one.refusals.counts) for one in self.all()), self._past_refusals.copy())

    def restarted(self, connection: Connection) -> None:
        """Judges a connection afresh: its peer asked for another path, and the old one says nothing of that."""
        self._liveness.pop(connection.id, None)

    async def lost(self, connection: Connection, now: int) -> str | None:
        """Says why a connection is to be closed, whether or not its peer said goodbye; None while it lives. Call it
        about twice a second for each of them."""
        liveness = self._liveness.setdefault(connection.id, Liveness(now))
        received, connected = await connection.datagrams(), connection.connected.is_set()
        reason = liveness.failure(received, now, connected=connected, expected=connection.expects_packets())
        self._count_bytes(connection)
        return "the peer left" if connection.gone.is_set() else reason

    def forget(self, connection: Connection) -> None:
        """Removes a connection from the session. The caller closes it."""
        viewer = self.viewers.pop(connection.id, None)
        self._past_packets += viewer.packets if viewer is not None else 0
        self._past_refusals.update(connection.refusals.counts)
        self._liveness.pop(connection.id, None)
        self._carried.pop(connection.id, None)
        if connection is self.publisher:
            self.publisher = None
            self.release()

    async def close(self) -> None:
        """Closes all connections; the last publisher stays known, for its figures."""
        try:
            await asyncio.gather(*(connection.close() for connection in self.all()))
        finally:
            self._past_packets = self.viewer_packets
            for viewer in self.viewers.values():
                self._past_refusals.update(viewer.refusals.counts)
            self.viewers.clear()

    def _count_bytes(self, connection: Connection) -> None:
        received, sent = self._carried.get(connection.id, (0, 0))
        self._carried[connection.id] = connection.carried
        self._traffic["webrtc", "in"] += connection.carried[0] - received
        self._traffic["webrtc", "out"] += connection.carried[1] - sent
