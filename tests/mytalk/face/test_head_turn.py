"""A still picture's head turns by its depth: nothing folds within the range, and the picture around it stands."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Picture
from mytalk.errors import OptionError
from mytalk.face import Face, FaceTracker, fit_pose
from mytalk.face.head_turn import (
    MAX_PITCH,
    MAX_ROLL,
    MAX_SHIFT,
    MAX_YAW,
    Grid,
    HeadSurface,
    Turn,
    YawRoom,
)
from mytalk.face.portrait import PortraitState, PortraitWarp

EXTREMES = [
    Turn(yaw=MAX_YAW),
    Turn(yaw=-MAX_YAW),
    Turn(pitch=MAX_PITCH),
    Turn(pitch=-MAX_PITCH),
    Turn(roll=MAX_ROLL, across=-MAX_SHIFT, down=MAX_SHIFT),
    Turn(yaw=MAX_YAW, pitch=-MAX_PITCH, roll=-MAX_ROLL),
]


@pytest.fixture(scope="module")
def warp(portrait: Picture, portrait_face: Face) -> PortraitWarp:
    return PortraitWarp(portrait, portrait_face)


def angles(face: Face) -> NDArray[np.float64]:
    """Yaw, pitch and roll in degrees, signs as of ``Turn``."""
    rotation = fit_pose(face).rotation
    yaw, pitch, roll = -fit_pose(face).yaw, -np.arcsin(rotation[2, 1]), np.arctan2(rotation[1, 0], rotation[0, 0])
    return np.degrees([yaw, pitch, roll])


@pytest.mark.parametrize(("axis", "most"), [("yaw", MAX_YAW), ("pitch", MAX_PITCH), ("roll", MAX_ROLL)])
def test_a_tracker_sees_the_head_turn_that_way_and_about_as_far(
    warp: PortraitWarp, portrait: Picture, portrait_face: Face, axis: str, most: float
) -> None:
    for angle in (-most, most):
        found = FaceTracker()(warp(portrait, PortraitState(Turn(**{axis: angle}))))
        assert found is not None
        turned = (angles(found) - angles(portrait_face)) / angle
        index = ("yaw", "pitch", "roll").index(axis)
        assert 0.45 < turned[index] < 1.2
        assert np.abs(np.delete(turned, index)).max() < 0.3


def test_a_head_is_shifted_by_shares_of_its_width(warp: PortraitWarp, portrait: Picture, portrait_face: Face) -> None:
    found = FaceTracker()(warp(portrait, PortraitState(Turn(across=MAX_SHIFT, down=-MAX_SHIFT))))
    assert found is not None
    moved = (found.points - portrait_face.points)[:, :2].mean(axis=0) / portrait_face.width
    np.testing.assert_allclose(moved, [MAX_SHIFT, -MAX_SHIFT], atol=0.02)


@pytest.mark.parametrize("turn", EXTREMES)
def test_within_the_range_nothing_folds(portrait: Picture, portrait_face: Face, turn: Turn) -> None:
    grid = Grid(portrait, portrait_face)
    back = grid.inverse(HeadSurface(grid, portrait_face).displacement(turn)) * grid.per_pixel
    across, down = (np.gradient(back[..., axis]) for axis in (0, 1))
    determinant = (1 + across[1]) * (1 + down[0]) - across[0] * down[1]
    assert determinant.min() > 0.1
    assert determinant.max() < 4


@pytest.mark.parametrize("turn", EXTREMES)
def test_the_background_stands_to_the_bit_and_borders_do(warp: PortraitWarp, portrait: Picture, turn: Turn) -> None:
    turned = warp(portrait, PortraitState(turn))
    np.testing.assert_array_equal(turned.y[300:], portrait.y[300:])
    np.testing.assert_array_equal(turned.u[:, :50], portrait.u[:, :50])
    np.testing.assert_array_equal(turned.v[:, 180:], portrait.v[:, 180:])
    assert not np.array_equal(turned.y, portrait.y)


@pytest.mark.parametrize("turn", EXTREMES)
def test_a_portrait_that_is_cut_off_at_the_picture_s_edge_turns_without_a_seam(portrait: Picture, turn: Turn) -> None:
    cut = Picture.from_rgb(portrait.rgb()[60:220, 150:300])
    face = FaceTracker()(cut)
    assert face is not None
    turned = PortraitWarp(cut, face)(cut, PortraitState(turn))
    for axis in (0, 1):
        steps, before = (np.abs(np.diff(one.y.astype(int), axis=axis)).max() for one in (turned, cut))
        assert steps <= 1.3 * before


def test_a_portrait_at_rest_is_the_same_picture(warp: PortraitWarp, portrait: Picture) -> None:
    assert warp(portrait, PortraitState()) is portrait


def test_a_face_that_is_turned_already_names_the_range_that_is_left(portrait_face: Face) -> None:
    aside = cv2.Rodrigues(np.array([0, -np.radians(30), 0]))[0]
    middle = portrait_face.points.mean(axis=0)
    face = Face(((portrait_face.points - middle) @ aside.T + middle).astype(np.float32))
    room = YawRoom.of(face)
    room.check(-MAX_YAW)
    with pytest.raises(OptionError, match=r"turned by (29|30) degrees already \(need -20 to 1[01] degrees\)"):
        room.check(15)
    YawRoom.of(portrait_face).check(15)
    assert room.held(Turn(yaw=15)).yaw == pytest.approx(10.5, abs=1)
    assert room.held(Turn(yaw=-25)).yaw == -25
