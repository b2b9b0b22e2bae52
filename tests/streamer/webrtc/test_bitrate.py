"""Rates that viewers can take, and the one that is encoded at."""

from __future__ import annotations

from streamer.webrtc.bitrate import (
    MAX_BITRATE,
    MIN_BITRATE,
    START_BITRATE,
    EstimatedBitrate,
    ViewerBitrate,
    common_rate,
)


def sending(bits_a_second: int, seconds: int = 10) -> EstimatedBitrate:
    bitrate = EstimatedBitrate()
    for n in range(25 * seconds):
        bitrate.sent(bits_a_second // 25 // 8, n * 3600)
    return bitrate


def test_the_unmeasured_estimates_of_a_young_connection_are_not_followed() -> None:
    bitrate = sending(1_500_000, seconds=3)
    bitrate.follow(300_000)
    assert bitrate.value == START_BITRATE


def test_a_low_estimate_of_a_calm_picture_is_no_congestion() -> None:
    bitrate = sending(200_000)
    bitrate.follow(300_000)
    assert bitrate.value == START_BITRATE


def test_congestion_brings_the_bitrate_down_and_its_end_up_again() -> None:
    bitrate = sending(1_900_000)
    bitrate.follow(700_000)
    assert bitrate.value == 700_000
    bitrate.follow(750_000)
    assert bitrate.value == 700_000
    bitrate.follow(1_100_000)
    assert bitrate.value == 1_100_000
    bitrate.follow(50_000_000)
    assert bitrate.value == MAX_BITRATE
    bitrate.follow(10)
    assert bitrate.value == MIN_BITRATE


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
