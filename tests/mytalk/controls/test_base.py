"""Tests that a stream which begins later has what controls name at the session's own moments."""

from __future__ import annotations

from mytalk.controls.pins import decode_pins
from mytalk.stream_options import StreamControls


def test_pins_and_changes_come_sooner_by_the_time_at_which_a_stream_began() -> None:
    controls = StreamControls(key_motions=decode_pins("2:smile:0.5"), since=40_000)
    moved = controls.earlier_by(16_000)
    assert (moved.key_motions[0].at, moved.key_motions[0].hold, moved.since) == (16_000, 8000, 24_000)
    assert controls.earlier_by(0) is controls
    assert controls.earlier_by(64_000).since == 0
