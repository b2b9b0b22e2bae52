"""Decides what the viewers of one encode can take, and what it is encoded at. Sans-IO."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from streamer.webrtc.encoded import VIDEO_RATE

START_BITRATE = 2_000_000
"""Bits a second before the receiver has reported anything: a talking face of 512x512 is clean at this."""

MIN_BITRATE, MAX_BITRATE = 400_000, 4_000_000

LOSSY, CLEAN = 0.10, 0.02
"""Shares of packets lost, between which a rate stays: above, it falls by half of the loss; below, it rises by 5 %
(draft-ietf-rmcat-gcc-02, 6)."""

LEFT_BEHIND = 10
"""One viewer in ten may be on a line too narrow for the others: the picture is not made worse for all of them."""

_SETTLE = 6 * VIDEO_RATE  # browsers report 300 kbit/s, unmeasured, for their first 5 s
_SPAN = 2 * VIDEO_RATE  # over which the sent rate is taken
_DOWN, _UP = 0.9, 1.4


class EstimatedBitrate:
    """Follows what one viewer can take, from what was sent and what its reports estimate (REMB).

    A receiver can only estimate up to about 1.5 times what it gets, and a calm face needs far less than it may use: a
    low estimate means congestion only where it is below what was really sent.
    """

    def __init__(self) -> None:
        self.value = START_BITRATE
        self._sent: deque[tuple[int, int]] = deque()  # timestamp, bits
        self._began: int | None = None

    def sent(self, size: int, timestamp: int) -> None:
        """Takes the bytes that left for the picture at ``timestamp`` (90 kHz)."""
        self._began = timestamp if self._began is None else self._began
        self._sent.append((timestamp, 8 * size))
        while self._sent[0][0] < timestamp - _SPAN:
            self._sent.popleft()

    @property
    def sent_rate(self) -> int:
        """Bits a second sent over the last 2 s."""
        return sum(bits for _, bits in self._sent) * VIDEO_RATE // _SPAN

    def follow(self, estimate: int) -> None:
        """Takes one estimate (bits a second); changes are few, because each costs a keyframe."""
        if self._began is None or not self._sent or self._sent[-1][0] - self._began < _SETTLE:
            return
        wanted = max(MIN_BITRATE, min(estimate, MAX_BITRATE))
        if (estimate < _DOWN * self.sent_rate and wanted < _DOWN * self.value) or wanted > _UP * self.value:
            self.value = wanted


class ViewerBitrate:
    """Holds one viewer's rate: the smaller of what its estimate (REMB) and the loss it reports allow."""

    def __init__(self) -> None:
        self._estimated = EstimatedBitrate()
        self._by_loss = float(MAX_BITRATE)

    @property
    def value(self) -> int:
        """Bits a second."""
        return max(MIN_BITRATE, min(self._estimated.value, int(self._by_loss)))

    def sent(self, size: int, timestamp: int) -> None:
        """Takes the bytes that left for the picture at ``timestamp`` (90 kHz)."""
        self._estimated.sent(size, timestamp)

    def estimate(self, bitrate: int) -> None:
        """Takes the viewer's own estimate (bits a second)."""
        self._estimated.follow(bitrate)

    def report(self, lost: float) -> None:
        """Takes the share of packets (0..1) that a receiver report counts as lost."""
        if lost > LOSSY:
            self._by_loss = max(MIN_BITRATE, min(self._by_loss, self._estimated.value) * (1 - lost / 2))
        elif lost < CLEAN:
            self._by_loss = min(MAX_BITRATE, self._by_loss * 1.05)


def common_rate(rates: Iterable[int]) -> int:
    """Returns the rate that nine in ten viewers can take; with fewer than ten, that all of them can.

    >>> common_rate([2_000_000, 500_000]), common_rate([500_000] + 9 * [2_000_000]), common_rate([])
    (500000, 2000000, 2000000)
    """
    ordered = sorted(rates)
    return ordered[len(ordered) // LEFT_BEHIND] if ordered else START_BITRATE
