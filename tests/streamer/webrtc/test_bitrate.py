"""What viewers can take, and what is made of it."""

from __future__ import annotations

from streamer.webrtc.aiortc_internals.encoders import MAX_BITRATE, MIN_BITRATE, START_BITRATE
from streamer.webrtc.bitrate import ViewerBitrate, common_rate


def test_loss_lowers_a_rate_to_no_less_than_the_least_and_clean_reports_bring_it_back() -> None:
    rate = ViewerBitrate()
    assert rate.value == START_BITRATE
    rate.report(0.2)
    assert rate.value == START_BITRATE * 9 // 10
    for _ in range(50):
        rate.report(0.5)
    assert rate.value == MIN_BITRATE
    rate.report(0.05)  # neither clean nor lossy
    assert rate.value == MIN_BITRATE
    for _ in range(50):
        rate.report(0.0)
    assert rate.value == START_BITRATE


def test_an_estimate_counts_once_it_has_settled() -> None:
    rate = ViewerBitrate()
    for index in range(25 * 5):
        rate.sent(10_000, index * 3600)
        rate.estimate(300_000)
    assert rate.value == START_BITRATE  # browsers report so little at first, unmeasured
    for index in range(25 * 5, 25 * 10):
        rate.sent(10_000, index * 3600)
    rate.estimate(800_000)
    assert rate.value == 800_000


def test_one_bad_line_in_ten_does_not_drag_the_others_down() -> None:
    assert common_rate([MIN_BITRATE] + [START_BITRATE] * 8) == MIN_BITRATE
    assert common_rate([MIN_BITRATE] + [START_BITRATE] * 9) == START_BITRATE
    assert common_rate([MIN_BITRATE] * 10 + [START_BITRATE] * 40) == MIN_BITRATE
    assert common_rate([MAX_BITRATE]) == MAX_BITRATE
