"""Eyes of a still picture look aside, blink and widen; nothing but the eyes changes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Picture
from mytalk.face import Face, FaceTracker
from mytalk.face.eyes import MAX_EYE_YAW, MAX_GAZE_PITCH, MAX_GAZE_YAW, Eyes, EyeState
from tests.mytalk.support.eyes import gaze, openness


@pytest.fixture(scope="module")
def eyes(portrait: Picture, portrait_face: Face) -> Eyes:
    return Eyes(portrait, portrait_face)


def found(picture: Picture) -> Face:
    face = FaceTracker()(picture)
    assert face is not None
    return face


def test_irises_go_where_the_gaze_goes(eyes: Eyes, portrait: Picture, portrait_face: Face) -> None:
    straight = gaze(found(portrait))
    left, right = (gaze(found(eyes(portrait, EyeState(yaw=yaw)))) for yaw in (-MAX_GAZE_YAW, MAX_GAZE_YAW))
    assert left[0] < straight[0] - 0.03 < straight[0] + 0.03 < right[0]
    up, down = (eyes(portrait, EyeState(pitch=pitch)) for pitch in (MAX_GAZE_PITCH, -MAX_GAZE_PITCH))
    assert gaze(found(up))[1] < straight[1] < gaze(found(down))[1]


def lash_rows(face: Face, state: EyeState) -> NDArray[np.intp]:
    """Rows of a dark line 5 pixels above the right eye's upper lid, in the column of its middle."""
    lid = face.points[[246, 161, 160, 159, 158, 157, 173], :2]
    flat = np.full((1024, 1536, 3), 200, np.uint8)
    cv2.polylines(flat, [(lid - [0, 5]).round().astype(np.int32)], isClosed=False, color=(20, 20, 20), thickness=3)
    picture = Picture.from_rgb(flat)
    return np.flatnonzero(Eyes(picture, face)(picture, state).y[:, int(face.points[159, 0])] < 110)


def test_lids_follow_the_gaze(portrait_face: Face) -> None:
    face = Face(portrait_face.points * np.float32(4))
    up, straight, down = (
        lash_rows(face, EyeState(pitch=pitch)).mean() for pitch in (MAX_GAZE_PITCH, 0, -MAX_GAZE_PITCH)
    )
    assert up < straight - 2
    assert down > straight + 2


@pytest.mark.parametrize(
    ("state", "wider"), [(EyeState(upper=1), True), (EyeState(lower=1), False), (EyeState(upper=-1), False)]
)
def test_lids_rise_and_droop(eyes: Eyes, portrait: Picture, state: EyeState, wider: bool) -> None:
    assert (openness(found(eyes(portrait, state))) > openness(found(portrait))) == wider


def test_closed_eyes_show_no_eyeball(eyes: Eyes, portrait: Picture, portrait_face: Face) -> None:
    closed = eyes(portrait, EyeState(closed=1.0))
    assert openness(found(closed)) < 0.75 * openness(portrait_face)  # the tracker believes in open eyes
    for middle in portrait_face.points[[468, 473], :2].round().astype(int):
        patch = slice(middle[1] - 1, middle[1] + 2), slice(middle[0] - 1, middle[0] + 2)
        assert closed.y[patch].mean() > portrait.y[patch].mean() + 25  # skin where the dark iris was


@pytest.mark.parametrize("state", [EyeState(closed=0.5), EyeState(yaw=20, pitch=-10), EyeState(upper=1, lower=1)])
def test_only_the_eyes_change(eyes: Eyes, portrait: Picture, portrait_face: Face, state: EyeState) -> None:
    changed = np.argwhere(eyes(portrait, state).y != portrait.y)[:, ::-1]
    points = portrait_face.points[:, :2]
    middles, length = points[[468, 473]], np.linalg.norm(points[33] - points[133])
    away = np.linalg.norm(changed[:, None] - middles, axis=2).min(axis=1)
    assert len(changed) > 100
    assert away.max() < 1.1 * length


def test_eyes_at_rest_are_the_same_picture(eyes: Eyes, portrait: Picture) -> None:
    assert eyes(portrait, EyeState()) is portrait


def test_the_far_eye_of_a_face_that_looks_aside_is_left_alone(portrait: Picture, portrait_face: Face) -> None:
    turn = cv2.Rodrigues(np.array([0, MAX_EYE_YAW + 0.25, 0]))[0]
    middle = portrait_face.points.mean(axis=0)
    face = Face(((portrait_face.points - middle) @ turn.T + middle).astype(np.float32))
    assert Eyes(portrait, face)(portrait, EyeState(closed=1.0)) is portrait


def test_lashes_come_down_with_the_lid_and_are_not_stretched(portrait_face: Face) -> None:
    face = Face(portrait_face.points * np.float32(4))
    top, bottom = face.points[[159, 145], 1]
    lashes = [lash_rows(face, EyeState(closed=share)) for share in (0.0, 1.0)]
    assert lashes[1].mean() - lashes[0].mean() > 0.8 * (bottom - top)
    assert abs(len(lashes[1]) - len(lashes[0])) <= 1
