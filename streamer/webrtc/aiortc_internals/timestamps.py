"""Counts the RTP timestamps of one track; aiortc 1.16.0 takes every step back for a wrap of 13 hours."""

from __future__ import annotations

_WRAP = 1 << 32


class Timestamps:
    """Maps timestamps (32 bits, which wrap) to a count from the track's first packet.

    A step back of up to ``reorder`` units is one: pictures are sent in the order in which they are decoded, and those
    between two others (B-frames) after the second. A step further back is a wrap: a sender that began another count.

    >>> times = Timestamps(reorder=90_000)
    >>> [times.map(stamp) for stamp in (2**32 - 3600, 3600, 0)]
    [0, 7200, 3600]
    """

    def __init__(self, reorder: int) -> None:
        self._reorder = reorder
        self._last: tuple[int, int] | None = None  # timestamp and count of the last packet
        self._jump: int | None = None  # count from the last packet to the next, whatever its timestamp

    def jump(self, units: int) -> None:
        """Places the next packet so far after the last, whatever its timestamp: it is of another source."""
        self._jump = units

    def map(self, timestamp: int) -> int:
        """Takes the next packet's timestamp and returns its count."""
        count = 0
        if self._last is not None:
            step = _signed(timestamp - self._last[0]) if self._jump is None else self._jump
            count = self._last[1] + (step if step >= -self._reorder else step + _WRAP)
        self._jump = None
        self._last = (timestamp, count)
        return count

    def near(self, timestamp: int) -> int | None:
        """Returns the count of a timestamp near the last packet's; None before the first."""
        return None if self._last is None else self._last[1] + _signed(timestamp - self._last[0])


def _signed(step: int) -> int:
    return (step + _WRAP // 2) % _WRAP - _WRAP // 2
