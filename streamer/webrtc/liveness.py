"""Whether a connection still lives, from the datagrams that it has received. Sans-IO."""

from __future__ import annotations

from streamer.clock import SECOND_NS

CONNECT_WAIT = 15 * SECOND_NS
"""A peer that never connects is given up after this long."""

SILENCE = 4 * SECOND_NS
"""A connected peer that sends no datagram at all is given up after this long. A live one sends reports every second."""

PAUSE = SECOND_NS
"""A publisher of which nothing is heard for this long gives way to another that comes. A live one sends media."""


class Liveness:
    """One connection's. Its reasons are written for the session's log and its client."""

    def __init__(self, now: int) -> None:
        self._heard = 0
        self._heard_at = now

    def stopped(self, datagrams: int, now: int, *, connected: bool, owing: bool = True) -> str | None:
        """Why the connection is to be given up, from all datagrams so far; None while it lives. ``owing``: the peer has
        something to send, or to report on."""
        if datagrams != self._heard or (connected and not owing):
            self._heard, self._heard_at = datagrams, now
        if now - self._heard_at <= (SILENCE if connected else CONNECT_WAIT):
            return None
        return "the peer fell silent" if connected else "the peer never connected"
