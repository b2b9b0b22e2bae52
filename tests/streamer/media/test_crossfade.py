"""One face goes over into another without a jump, in order, and both people of cut-out portraits with it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from mytalk.media_time import FRAME_SAMPLES
from mytalk.picture import Matte, Picture, VideoFrame
from streamer.media.crossfade import FADE, Crossfade

STEPS = FADE // FRAME_SAMPLES


def grey(level: int, size: int = 16) -> Picture:
    return Picture(
        np.full((size, size), level, np.uint8), *(np.full((size // 2, size // 2), 128, np.uint8) for _ in range(2))
    )


def frame(picture: Picture, number: int) -> VideoFrame:
    return VideoFrame(picture, number * FRAME_SAMPLES, number, Fraction(1, 25))


def test_a_face_goes_over_into_another_in_even_steps() -> None:
    fade = Crossfade()
    levels = []
    for number in range(3):
        assert fade.going(frame(grey(40), number)) is not None
    for number in range(3, 4 + STEPS):
        shown = fade.coming(frame(grey(200), number))
        assert shown is not None
        levels.append(int(shown.picture.y[0, 0]))
        assert fade.going(frame(grey(40), number)) is None
        assert fade.over == (number == 3 + STEPS)
    assert levels[0] == 40
    assert levels[-1] == 200
    steps = np.diff(levels)
    assert (steps >= 0).all()
    assert steps.max() < 40


def test_no_picture_is_given_twice_or_out_of_order() -> None:
    fade = Crossfade()
    assert fade.going(frame(grey(40), 5)) is not None
    assert fade.coming(frame(grey(200), 4)) is None
    assert fade.coming(frame(grey(200), 5)) is None
    shown = fade.coming(frame(grey(200), 6))
    assert shown is not None
    assert shown.pts == 6


def test_where_no_face_goes_the_one_that_comes_is_there_at_once() -> None:
    fade = Crossfade()
    shown = fade.coming(frame(grey(200), 1))
    assert shown is not None
    assert fade.over
    assert shown.picture.y[0, 0] == 200


def cut_out(level: int, alpha: int) -> Picture:
    alone = grey(level)
    matte = Matte(np.full((16, 16), alpha, np.uint8), grey(0), kept=True)
    alone = Picture(alone.y, alone.u, alone.v, matte=matte)
    return Picture(alone.y, alone.u, alone.v, cutout=alone)


@pytest.mark.parametrize(("old", "new"), [(255, 0), (0, 255)])
def test_where_only_one_of_two_people_is_their_colour_is_seen_alone(old: int, new: int) -> None:
    fade = Crossfade()
    fade.going(frame(cut_out(40, old), 0))
    fade.coming(frame(cut_out(200, new), 1))
    shown = fade.coming(frame(cut_out(200, new), 1 + STEPS // 2))
    assert shown is not None
    assert shown.picture.cutout is not None
    assert shown.picture.cutout.matte is not None
    assert 100 < shown.picture.cutout.matte.alpha[0, 0] < 155
    assert abs(int(shown.picture.cutout.y[0, 0]) - (40 if old else 200)) <= 1
