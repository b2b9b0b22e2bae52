"""Bitrates that suit a face, and speech that shares a timeline with packets only passed on."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor

from streamer.webrtc.aiortc_internals.encoders import (
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


@pytest.mark.parametrize("kind", [FaceVp8Encoder, FaceH264Encoder])
def test_a_picture_that_cannot_be_encoded_is_left_out_and_the_next_one_is_a_keyframe(kind: Any, caplog: Any) -> None:
    encoder = kind()
    frames = [av.VideoFrame.from_ndarray(np.full((96, 64), 40 * n, np.uint8), format="yuv420p") for n in range(5)]
    for index, frame in enumerate(frames):
        frame.pts, frame.time_base = 3600 * index, Fraction(1, 90_000)
    assert encoder.encode(frames[0])[0]
    whole = encoder.codec

    class Broken:
        width, height, bit_rate, is_open = whole.width, whole.height, whole.bit_rate, True

        def encode(self, frame: av.VideoFrame) -> Any:
            raise av.error.ExternalError(1, "the encoder is gone")

    encoder.codec = Broken()
    assert encoder.encode(frames[1])[0] == []
    assert (encoder.faults.count, encoder.faults.in_a_row) == (1, 1)
    payloads, timestamp = encoder.encode(frames[2])
    assert timestamp == 7200
    assert encoder.faults.in_a_row == 0
    if kind is FaceVp8Encoder:
        assert VpxPayloadDescriptor.parse(payloads[0])[1][0] & 1 == 0  # RFC 6386, 9.1
    else:
        assert any(payload[0] & 31 in (5, 7, 24) for payload in payloads)  # RFC 6184, 5.2
    assert "encoder is gone" in caplog.text


def test_speech_that_cannot_be_encoded_costs_its_own_20_ms(caplog: Any) -> None:
    encoder = SpeechEncoder()
    frames = []
    for index in range(3):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.int16), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 960 * index, Fraction(1, 48_000)
        frames.append(frame)
    wrong = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), format="flt", layout="mono")
    wrong.sample_rate, wrong.pts, wrong.time_base = 48_000, 960, Fraction(1, 48_000)
    assert encoder.encode(frames[0])[0]
    assert encoder.encode(wrong) == ([], 960)
    payloads, at = encoder.encode(frames[2])
    assert (len(payloads), at, encoder.faults.count) == (1, 1920, 1)
    assert "could not be encoded" in caplog.text


@pytest.mark.parametrize("encoder", [FaceVp8Encoder(), FaceH264Encoder()])
def test_aiortcs_encoders_take_our_bitrate(encoder: FaceVp8Encoder | FaceH264Encoder) -> None:
    frame = av.VideoFrame.from_ndarray(np.zeros((96, 64), np.uint8), format="yuv420p")
    frame.pts, frame.time_base = 0, Fraction(1, 90_000)
    payloads, _ = encoder.encode(frame)
    assert payloads
    assert encoder.codec is not None
    assert encoder.codec.bit_rate == START_BITRATE


@pytest.mark.parametrize(("encoder", "name"), [(FaceVp8Encoder(), "libvpx"), (FaceH264Encoder(), "libx264")])
def test_an_encoder_that_is_not_open_yet_takes_our_options_beside_its_own(encoder: Any, name: str) -> None:
    fresh = av.CodecContext.create(name, "w")
    fresh.width, fresh.height, fresh.options = 96, 64, {"preset": "slow", "deadline": "realtime"}
    encoder.codec = fresh
    assert encoder.codec.options == {"preset": "slow", "deadline": "realtime"} | encoder.options


def test_encoded_speech_keeps_the_time_of_its_frame() -> None:
    encoder = SpeechEncoder()
    for at in (48_000, 48_960, 96_000):  # packets that were passed on lie between
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1920), np.int16), format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, at, Fraction(1, 48_000)
        payloads, timestamp = encoder.encode(frame)
        assert (len(payloads), timestamp) == (1, at)
