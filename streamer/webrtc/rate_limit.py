"""Limits how much may happen in a time (a token bucket). Sans-IO."""

from __future__ import annotations


class RateLimit:
    """Lets ``rate`` units a second through on average, and ``burst`` units at once.

    >>> limit = RateLimit(rate=10, burst=2)
    >>> [limit.take(1, now=0.0) for _ in range(3)], limit.take(1, now=0.1)
    ([True, True, False], True)
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at: float | None = None

    def take(self, amount: float, now: float) -> bool:
        """Takes ``amount`` units; false, and takes none, where fewer are left. ``now``: seconds of one clock."""
        if self._at is not None:
            self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._rate)
        self._at = now
        if amount > self._left:
            return False
        self._left -= amount
        return True
