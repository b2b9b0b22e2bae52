"""What the viewers of one encode can take, and what it is encoded at. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable

from streamer.webrtc.aiortc_internals.encoders import MAX_BITRATE, MIN_BITRATE, START_BITRATE, Bitrate

LOSSY, CLEAN = 0.10, 0.02
"""Shares of packets lost, between which a rate stays: above, it falls by half of the loss; below, it rises by 5 %
(draft-ietf-rmcat-gcc-02, 6)."""

LEFT_BEHIND = 10
"""One viewer in so many may be on a line too narrow for the others: the picture is not made worse for all of them."""


class ViewerBitrate:
    """One viewer's rate: the smaller of what its estimate (REMB) and the loss it reports allow."""

    def __init__(self) -> None:
        self._estimated = Bitrate()
        self._by_loss = float(MAX_BITRATE)

    @property
    def value(self) -> int:
        """Bits a second."""
        return max(MIN_BITRATE, min(self._estimated.value, int(self._by_loss)))

    def sent(self, size: int, timestamp: int) -> None:
        """So many bytes left for the picture at ``timestamp`` (90 kHz)."""
        self._estimated.sent(size, timestamp)

    def estimate(self, bitrate: int) -> None:
        """The viewer's own estimate."""
        self._estimated.follow(bitrate)

    def report(self, lost: float) -> None:
        """The share of packets that a receiver report says were lost."""
        if lost > LOSSY:
            self._by_loss = max(MIN_BITRATE, min(self._by_loss, self._estimated.value) * (1 - lost / 2))
        elif lost < CLEAN:
            self._by_loss = min(MAX_BITRATE, self._by_loss * 1.05)


def common_rate(rates: Iterable[int]) -> int:
    """The rate that nine in ten viewers can take; with fewer than ten, that all of them can.

    >>> common_rate([2_000_000, 500_000]), common_rate([500_000] + 9 * [2_000_000]), common_rate([])
    (500000, 2000000, 2000000)
    """
    ordered = sorted(rates)
    return ordered[len(ordered) // LEFT_BEHIND] if ordered else START_BITRATE
