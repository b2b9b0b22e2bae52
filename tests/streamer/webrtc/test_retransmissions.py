"""Lost packets that a viewer reports: each is sent again once in a round trip, and no more than the stream itself."""

from __future__ import annotations

from streamer.webrtc.retransmissions import KEPT, MOST_CREDIT, ROUND_TRIP, UNKNOWN_ROUND_TRIP, Retransmissions


def kept(count: int, size: int = 100) -> Retransmissions:
    stream = Retransmissions()
    for number in range(count):
        stream.keep(number, b"h" * 12, bytes(size - 12))
    return stream


def numbers(stream: Retransmissions, lost: list[int], now: float, round_trip: float | None = 0.05) -> list[int]:
    return [number for number, _, _ in stream.due(lost, now, round_trip)]


def test_a_packet_is_sent_again_once_in_a_round_trip() -> None:
    stream = kept(10)
    assert numbers(stream, [3, 4, 3], now=1.0) == [3, 4]
    assert numbers(stream, [3, 4, 5], now=1.04) == [5]
    assert numbers(stream, [3, 4, 5], now=1.051) == [3, 4]


def test_a_round_trip_that_the_viewer_names_counts_within_bounds() -> None:
    for named, wait in ((None, UNKNOWN_ROUND_TRIP), (-9.0, ROUND_TRIP[0]), (0.0, ROUND_TRIP[0]), (1e9, ROUND_TRIP[1])):
        stream = kept(1)
        assert numbers(stream, [0], now=5.0, round_trip=named) == [0]
        assert numbers(stream, [0], now=5.0 + wait - 0.001, round_trip=named) == []
        assert numbers(stream, [0], now=5.0 + wait + 0.001, round_trip=named) == [0]


def test_no_more_is_sent_again_than_was_sent_and_one_burst() -> None:
    stream = kept(KEPT, size=1300)
    lost, drawn = list(range(KEPT)) * 11, 0
    for second in range(100):
        drawn += 1300 * len(numbers(stream, lost, now=float(second)))
    assert 0 < MOST_CREDIT - drawn < 1300
    assert stream.refused
    stream.keep(KEPT, bytes(12), bytes(1288))
    assert len(numbers(stream, lost, now=200.0)) == 1 + (MOST_CREDIT - drawn) // 1300


def test_what_was_never_sent_or_is_forgotten_is_not_sent_again() -> None:
    stream = kept(KEPT + 10)
    assert numbers(stream, [0, 9, KEPT + 10, 65_535, 10, KEPT + 9], now=1.0) == [10, KEPT + 9]
