"""Decides whether a connection still lives, from the datagrams that it has received. Sans-IO."""

from __future__ import annotations

from streamer.clock import SECOND_NS

CONNECT_WAIT = 15 * SECOND_NS
"""A peer that never connects is given up after this long."""

SILENCE = 4 * SECOND_NS
"""A connected peer that sends no datagram at all is given up after this long. A live one sends reports every second."""

PAUSE = SECOND_NS
"""A publisher that sends nothing for this long gives way to another that comes. A live one sends media."""


class Liveness:
    """Judges one connection. Its reasons are written for the session's log and its client."""

    def __init__(self, now: int) -> None:
        self._received = 0
        self._received_at = now

    def failure(self, datagrams: int, now: int, *, connected: bool, expected: bool = True) -> str | None:
        """Says why the connection is to be given up; None while it lives. ``datagrams``: all that it has received so
        far. ``expected``: the peer has something to send, or to report on."""
        if datagrams != self._received or (connected and not expected):
            self._received, self._received_at = datagrams, now
        if now - self._received_at <= (SILENCE if connected else CONNECT_WAIT):
            return None
        return "the peer fell silent" if connected else "the peer never connected"
