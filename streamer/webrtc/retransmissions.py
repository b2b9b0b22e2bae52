"""Decides which of the packets that a viewer reports as lost (RFC 4585, 6.2.1) are sent again. Sans-IO."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

KEPT = 512
"""Packets of one stream that can be sent again; a power of two. Full: the oldest is forgotten."""

MOST_CREDIT = 128 * 1024
"""Bytes that may be sent again at once: a keyframe of 1080p. Every byte of media sent earns one, so a viewer draws at
most twice its stream."""

ROUND_TRIP = (0.02, 0.5)
"""Seconds in which a packet is sent again once: the round trip, not less and not more than these. A viewer asks again
after that time, and names the round trip itself."""

UNKNOWN_ROUND_TRIP = 0.1
"""Seconds where no receiver report has told it yet."""


class Retransmissions:
    """Keeps the newest packets of one stream, as header and payload."""

    def __init__(self) -> None:
        self.refused = 0  # requests beyond the credit
        self._kept: list[tuple[int, bytes, bytes] | None] = [None] * KEPT
        self._sent_again_at = [float("-inf")] * KEPT
        self._credit = MOST_CREDIT

    def keep(self, number: int, header: bytes, payload: bytes) -> None:
        """Keeps a packet that leaves for the first time."""
        slot = number % KEPT
        self._kept[slot] = (number, header, payload)
        self._sent_again_at[slot] = float("-inf")
        self._credit = min(MOST_CREDIT, self._credit + len(header) + len(payload))

    def due(self, lost: Iterable[int], now: float, round_trip: float | None) -> Iterator[tuple[int, bytes, bytes]]:
        """Yields number, header and payload of those that are to be sent again now (seconds), each once."""
        wait = UNKNOWN_ROUND_TRIP if round_trip is None else min(max(round_trip, ROUND_TRIP[0]), ROUND_TRIP[1])
        for number in lost:
            slot = number % KEPT
            packet = self._kept[slot]
            if packet is None or packet[0] != number or now - self._sent_again_at[slot] < wait:
                continue
            size = len(packet[1]) + len(packet[2])
            if size > self._credit:
                self.refused += 1
                return
            self._credit -= size
            self._sent_again_at[slot] = now
            yield packet
