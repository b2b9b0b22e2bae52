from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.picture import Picture
from mytalk.training.data.screening import Limits, Reason, Screen, Seen
from mytalk.training.data.shots import Shot

STEP = 640


def _look(pictures: list[NDArray[np.uint8]], limits: Limits | None = None, **at: list[int]) -> list[Seen]:
    times = at.get("at", [index * STEP for index in range(len(pictures))])
    cuts = at.get("cuts", [])
    shots = [
        Shot(Picture.from_rgb(rgb), time, index in cuts)
        for index, (rgb, time) in enumerate(zip(pictures, times, strict=True))
    ]
    return list(Screen(limits or Limits()).look(iter(shots)))


@pytest.fixture(scope="module")
def face(portrait: Picture) -> NDArray[np.uint8]:
    return portrait.rgb()[:400, 60:460]


def _reasons(seen: list[Seen]) -> list[Reason | None]:
    return [one.reason for one in seen]


def test_one_face_from_the_front_is_used(face: NDArray[np.uint8]) -> None:
    seen = _look([face] * 3)
    assert _reasons(seen) == [None] * 3
    assert [one.new_run for one in seen] == [False] * 3
    assert seen[2].tracked is not None
    assert seen[2].tracked.at == 2 * STEP


def test_each_reason_is_reported(face: NDArray[np.uint8]) -> None:
    grey = np.full_like(face, 90)
    half = cv2.resize(face, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    assert _reasons(_look([grey])) == [Reason.NO_FACE]
    assert _reasons(_look([np.hstack([face, face])] * 2)) == [Reason.TWO_FACES] * 2
    assert _reasons(_look([half])) == [Reason.TOO_SMALL]
    assert _reasons(_look([half], Limits(face_pixels=48))) == [None]
    assert _reasons(_look([face], Limits(yaw=0.01))) == [Reason.TURNED]


def test_a_second_face_that_comes_later_is_seen_within_half_a_second(face: NDArray[np.uint8]) -> None:
    blank = np.full_like(face, 90)
    alone, together = np.hstack([face, blank]), np.hstack([face, face])
    seen = _look([alone] * 5 + [together] * 13)
    assert _reasons(seen)[:5] == [None] * 5
    assert _reasons(seen)[-1] is Reason.TWO_FACES


def test_a_face_that_the_edge_cuts_off_is_not_used(portrait: Picture, face: NDArray[np.uint8]) -> None:
    seen = _look([face, *[face[:150]] * 2], cuts=[1])
    assert seen[0].reason is None
    assert seen[1].reason in (Reason.CUT_OFF, Reason.NO_FACE)


def test_a_run_ends_at_a_cut_a_jump_and_a_gap(face: NDArray[np.uint8]) -> None:
    assert [one.new_run for one in _look([face] * 4, cuts=[2])] == [False, False, True, False]
    moved = np.roll(face, 120, axis=1)
    assert [one.new_run for one in _look([face, face, moved, moved])][2]
    late = _look([face] * 3, at=[0, STEP, 6 * STEP])
    assert [(one.reason, one.new_run) for one in late] == [
        (None, False),
        (None, False),
        (Reason.GAP, True),
        (None, True),
    ]
    assert late[2].at == STEP
