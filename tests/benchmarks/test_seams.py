"""The seam benchmark switches off what it says, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.quality.seams import Means, Row, Talk, plot, speak
from mytalk import Pipeline
from mytalk.face import Face, fit_pose
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.stream import MotionStream
from mytalk.presets import PROFILES


@pytest.fixture(scope="module")
def talk(portrait_face: Face, babble: NDArray[np.float32]) -> Talk:
    points = fit_pose(portrait_face).to_canonical(portrait_face.points)
    return Talk("babble", babble[:32_000], [(at, points) for at in range(0, 32_000, FRAME_SAMPLES)])


def shapes(pipeline: Pipeline, talk: Talk, means: Means) -> NDArray[np.float32]:
    lower = speak(pipeline, talk, PROFILES["balanced"], means, steps=2, seed=1)
    return lower[~np.isnan(lower).any(axis=(1, 2))]


def test_with_everything_on_it_is_what_a_session_gives(pipeline: Pipeline, talk: Talk) -> None:
    stream = MotionStream(pipeline.motion, PROFILES["balanced"], steps=2, seed=1)
    stream.enrol([points for _, points in talk.faces if points is not None])
    for at, points in talk.faces:
        stream.push_face(at, points)
    stream.push_speech(talk.speech)
    live = np.stack([frame.lower for frame in stream.advance()])
    np.testing.assert_array_equal(shapes(pipeline, talk, Means()), live)


@pytest.mark.parametrize("name", ["history", "ring", "crossfade"])
def test_each_alone_changes_the_motion_from_the_second_window_on(pipeline: Pipeline, talk: Talk, name: str) -> None:
    whole = shapes(pipeline, talk, Means())
    without = shapes(pipeline, talk, Means(**{name: False}))
    assert len(whole) == len(without)
    same_first = name != "ring"
    assert np.array_equal(whole[:2], without[:2]) == same_first
    assert not np.array_equal(whole[3:], without[3:])


def test_a_talk_that_comes_later_says_the_same(talk: Talk) -> None:
    later = talk.later(2)
    assert later.faces[0][0] == 2 * FRAME_SAMPLES
    np.testing.assert_array_equal(later.speech[2 * FRAME_SAMPLES :], talk.speech)
    assert not later.speech[: 2 * FRAME_SAMPLES].any()


def test_the_plot_shows_every_row_and_what_is_too_much() -> None:
    rows = {"all on": Row(1.05, 1, 1, 1, 1), "none": Row(1.4, 1, 1, 1, 1)}
    drawn = plot({"balanced": rows}, steps=1)
    assert drawn.count("<rect x=") == 2
    assert "1.050" in drawn
    assert "1.400" in drawn
    assert drawn.index("#2a7f62") < drawn.index("#c2543d")
