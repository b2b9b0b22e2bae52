"""Notices that the process stood still. Sans-IO."""

from __future__ import annotations

from streamer.clock import SECOND_NS

STALL = SECOND_NS
"""An event loop that is late by more than this stood still: its process was stopped, or its machine was. What was due
meanwhile is dropped in one step. After less, everything is made up for."""


class StallDetector:
    """Compares the moments at which something regular is done, every half second at least.

    >>> detector = StallDetector(now=0)
    >>> [detector.stalled(now) for now in (SECOND_NS // 2, 6 * SECOND_NS, 6 * SECOND_NS + 1)]
    [0, 5500000000, 0]
    """

    def __init__(self, now: int) -> None:
        self._before = now

    def stalled(self, now: int) -> int:
        """Returns the nanoseconds since the last call where they are a stall, otherwise 0."""
        passed, self._before = now - self._before, max(now, self._before)
        return passed if passed > STALL else 0
