"""Bitrates that suit a face, and speech that shares a timeline with packets only passed on."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from streamer.encoders import (
    MAX_BITRATE,
    MIN_BITRATE,
    START_BITRATE,
    Bitrate,
    FaceH264Encoder,
    FaceVp8Encoder,
    SpeechEncoder,
)


def sending(bits_a_second: int, seconds: int = 10) -> Bitrate:
    bitrate = Bitrate()
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


@pytest.mark.parametrize("encoder", [FaceVp8Encoder(), FaceH264Encoder()])
def test_aiortcs_encoders_take_our_bitrate(encoder: FaceVp8Encoder | FaceH264Encoder) -> None:
    frame = av.VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), format="yuv420p")
    frame.pts, frame.time_base = 0, Fraction(1, 90_000)
    payloads, _ = encoder.encode(frame)
    assert payloads
    assert encoder.codec is not None
    assert encoder.codec.bit_rate == START_BITRATE


def test_encoded_speech_keeps_the_time_of_its_frame() -> None:
    encoder = SpeechEncoder()
    for at in (48_000, 48_960, 96_000):  # packets that were passed on lie between
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.int16), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
        payloads, timestamp = encoder.encode(frame)
        assert (len(payloads), timestamp) == (1, at)
