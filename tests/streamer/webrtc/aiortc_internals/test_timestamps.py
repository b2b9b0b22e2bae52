"""RTP timestamps of one track: they wrap, and B-frames step back."""

from __future__ import annotations

from streamer.webrtc.aiortc_internals.timestamps import Timestamps

WRAP = 1 << 32


def counts(stamps: list[int], reorder: int = 90_000) -> list[int]:
    times = Timestamps(reorder)
    return [times.map(stamp % WRAP) for stamp in stamps]


def test_a_wrap_goes_on() -> None:
    assert counts([WRAP - 3600 + n * 3600 for n in range(4)]) == [0, 3600, 7200, 10_800]


def test_pictures_in_decoding_order_keep_their_own_times() -> None:
    shown = [0, 3, 1, 2, 6, 4, 5]
    assert counts([WRAP - 7200 + n * 3600 for n in shown]) == [n * 3600 for n in shown]


def test_a_sender_that_began_another_count_is_ahead() -> None:
    assert counts([500_000, 100_000, 103_600]) == [0, WRAP - 400_000, WRAP - 396_400]
    assert counts([960, 0], reorder=0) == [0, WRAP - 960]


def test_a_report_near_the_last_packet_is_placed_by_it() -> None:
    times = Timestamps(reorder=0)
    assert times.near(7) is None
    for stamp in (WRAP - 960, 0, 960):
        times.map(stamp)
    assert (times.near(0), times.near(1000), times.near(WRAP - 100)) == (960, 1960, 860)
