"""A clip's sound is moved onto its lips by what the offset meter finds, and not otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.evaluation.aligned import MIN_RUN, align, moved
from mytalk.evaluation.filmed import Filmed, Shapes
from mytalk.evaluation.offset import MARGIN
from mytalk.face import Face
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.agreement import Offset

FRAMES = 60


class FakeFilm:
    still, name, path = False, "film", Path("film.mp4")


class Estimator:
    """Returns a given offset, and keeps what it was asked about."""

    def __init__(self, ms: float, confidence: float = 1.0) -> None:
        self.found = Offset(ms, 0.5, confidence, FRAMES / 25)
        self.asked: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []

    def estimate(self, clips: list[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> Offset:
        self.asked = clips
        return self.found


def clip(face: Face, missing: range = range(0)) -> Filmed:
    sound = np.arange(FRAMES * FRAME_SAMPLES, dtype=np.float32)
    at = [index * FRAME_SAMPLES for index in range(FRAMES)]
    faces = [None if index in missing else face for index in range(FRAMES)]
    film: Any = FakeFilm()
    return Filmed(film, at, faces, Shapes(np.zeros(FRAMES, np.float32), np.zeros((FRAMES, 40, 2), np.float32)), sound)


def test_sound_that_is_late_comes_earlier(portrait_face: Face) -> None:
    estimator: Any = Estimator(ms=100.0)
    filmed = clip(portrait_face)
    aligned, offset = align(filmed, estimator)
    assert offset == estimator.found
    assert aligned.sound is not None
    assert filmed.sound is not None
    np.testing.assert_array_equal(aligned.sound[:-1600], filmed.sound[1600:])
    assert not aligned.sound[-1600:].any()


def test_an_offset_that_is_not_believed_moves_nothing(portrait_face: Face) -> None:
    estimator: Any = Estimator(ms=100.0, confidence=0.1)
    filmed = clip(portrait_face)
    aligned, _ = align(filmed, estimator)
    np.testing.assert_array_equal(aligned.sound, filmed.sound)


def test_each_stretch_with_a_face_is_heard_with_its_own_sound(portrait_face: Face) -> None:
    estimator: Any = Estimator(ms=0.0)
    align(clip(portrait_face, missing=range(30, 33)), estimator)
    assert [len(faces) for faces, _ in estimator.asked] == [30, 27]
    _, second = estimator.asked[1]
    assert len(second) == 27 * FRAME_SAMPLES + 2 * MARGIN
    assert second[MARGIN] == 33 * FRAME_SAMPLES


def test_sound_that_ends_before_the_pictures_is_compared_all_the_same(portrait_face: Face) -> None:
    estimator: Any = Estimator(ms=100.0)
    whole = clip(portrait_face)
    assert whole.sound is not None
    short = replace(whole, sound=whole.sound[:-700])
    _, offset = align(short, estimator)
    assert offset == estimator.found
    faces, sound = estimator.asked[0]
    assert len(sound) == len(faces) * FRAME_SAMPLES + 2 * MARGIN


def test_a_face_that_is_never_seen_for_long_is_not_asked_about(portrait_face: Face) -> None:
    estimator: Any = Estimator(ms=100.0)
    gaps = clip(portrait_face, missing=range(MIN_RUN - 1, FRAMES))
    aligned, offset = align(gaps, estimator)
    assert offset is None
    assert aligned is gaps


@pytest.mark.parametrize("late", [-3, 0, 3, 20])
def test_sound_keeps_its_length(late: int) -> None:
    sound = np.arange(1, 11, dtype=np.float32)
    result = moved(sound, late)
    assert len(result) == len(sound)
    if late == -3:
        assert result.tolist() == [0, 0, 0, 1, 2, 3, 4, 5, 6, 7]
    elif late == 3:
        assert result.tolist() == [4, 5, 6, 7, 8, 9, 10, 0, 0, 0]
