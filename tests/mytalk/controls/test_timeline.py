"""Tests how changes of controls fade in: as a function of media time, whoever asks, in whatever order."""

from __future__ import annotations

import numpy as np

from mytalk.controls import Controls
from mytalk.controls.timeline import FADE, KEPT, MAX_CHANGES, ControlTimeline
from mytalk.media_time import FRAME_SAMPLES


def opening(controls: Controls) -> float:
    return controls.mouth_opening


def curve(timeline: ControlTimeline, start: int, stop: int) -> list[float]:
    return [timeline.faded(at, opening) for at in range(start, stop, FRAME_SAMPLES)]


def test_a_change_goes_over_in_120_ms_and_is_the_same_after_a_barge_in() -> None:
    timeline = ControlTimeline(Controls())
    timeline.change(Controls(mouth_opening=2.0), since=6400)
    first = curve(timeline, 0, 6400 + 2 * FADE)
    assert first[:11] == [1.0] * 11
    assert first[13:] == [2.0] * len(first[13:])
    assert np.all(np.diff(first[10:14]) > 0)
    assert curve(timeline, 5120, 6400 + 2 * FADE) == first[8:]


def test_a_change_within_a_fade_begins_where_that_one_is() -> None:
    timeline = ControlTimeline(Controls())
    timeline.change(Controls(mouth_opening=3.0), since=0)
    before = timeline.faded(FRAME_SAMPLES, opening)
    timeline.change(Controls(mouth_opening=0.0), since=FRAME_SAMPLES)
    assert timeline.faded(FRAME_SAMPLES, opening) == before
    assert timeline.faded(FRAME_SAMPLES + FADE, opening) == 0.0
    steps = np.abs(np.diff([timeline.faded(at, opening) for at in range(0, 2 * FADE, 40)]))
    assert steps.max() < 0.15


def test_arrays_are_mixed_too() -> None:
    timeline = ControlTimeline(Controls(mouth_opening=0.0))
    timeline.change(Controls(mouth_opening=2.0), since=0)
    halfway = timeline.faded(FADE // 2, lambda controls: np.full(3, controls.mouth_opening))
    np.testing.assert_allclose(halfway, 1.0)


def test_what_a_fade_does_not_show_is_no_change() -> None:
    timeline = ControlTimeline(Controls())
    timeline.change(Controls(seed=4, steps=2), since=640)
    assert timeline.faded(640, lambda controls: controls.seed) == 0


def test_old_changes_are_forgotten_and_many_at_once_are_bounded() -> None:
    timeline = ControlTimeline(Controls())
    for number in range(3 * MAX_CHANGES):
        timeline.change(Controls(mouth_opening=number % 30 / 10), since=number)
    last = (3 * MAX_CHANGES - 1) % 30 / 10
    assert len(timeline._changes) <= MAX_CHANGES
    assert timeline.faded(10 * (FADE + KEPT), opening) == last
    assert len(timeline._changes) == 1
