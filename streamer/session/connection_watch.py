"""Watches one session's connections for those that are gone, whether or not they said goodbye."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from streamer.clock import SECOND_NS, Clock
from streamer.session.idle_timeout import IdleTimeout
from streamer.session.stall import StallDetector
from streamer.webrtc.connection import Connection
from streamer.webrtc.connections import Connections

INTERVAL = SECOND_NS // 2


async def watch_connections(
    clock: Clock,
    connections: Connections,
    attendance: IdleTimeout,
    *,
    lost: Callable[[Connection, str], Awaitable[None]],
    look: Callable[[int], None],
) -> None:
    """Calls ``lost`` with each connection that is gone and why, and ``look`` with the time (ns) at each interval.

    After a stall of the process no connection is gone, and users count as present: what they sent waits to be read.
    """
    stalls = StallDetector(clock.now())
    while True:
        await clock.sleep_until(clock.now() + INTERVAL)
        now = clock.now()
        if stalls.stalled(now):
            for connection in connections.all():
                connections.restarted(connection)
            attendance.look(now, used=True)
            continue
        for connection in connections.all():
            reason = await connections.lost(connection, now)
            if reason is not None:
                await lost(connection, reason)
        look(now)
