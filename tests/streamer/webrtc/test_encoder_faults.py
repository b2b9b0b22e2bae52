"""Frames that could not be encoded, counted by encoder."""

from __future__ import annotations

import pytest

from streamer.webrtc.encoder_faults import EncoderFaults


def test_one_encoders_success_does_not_hide_anothers_failures() -> None:
    faults = EncoderFaults()
    for _ in range(10):
        faults.add("vp8")
        faults.end_row("h264")
    assert (faults.count, faults.in_a_row) == (10, 10)
    faults.end_row("vp8")
    assert (faults.count, faults.in_a_row) == (10, 0)


def test_the_first_of_a_row_is_logged_with_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    faults = EncoderFaults()
    for _ in range(3):
        try:
            raise ValueError("the encoder is gone")
        except ValueError:
            faults.add("vp8")
    assert caplog.text.count("ValueError: the encoder is gone") == 1
