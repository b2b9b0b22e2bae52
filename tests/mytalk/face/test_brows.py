"""Brows of a still picture move by action units, and the eyes below them stay."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Picture
from mytalk.face import Face, FaceTracker
from mytalk.face.brows import UpperFace
from mytalk.face.portrait import PortraitState, PortraitWarp

INNER, OUTER = (107, 55, 336, 285), (70, 46, 300, 276)


@pytest.fixture(scope="module")
def warp(portrait: Picture, portrait_face: Face) -> PortraitWarp:
    return PortraitWarp(portrait, portrait_face)


def rise(warp: PortraitWarp, state: UpperFace, face: Face) -> NDArray[np.float64]:
    """How far a tracker sees the inner and outer ends of the brows rise, eye distances."""
    found = FaceTracker()(warp(warp.portrait, PortraitState(face=state)))
    assert found is not None
    distance = np.linalg.norm(face.points[468, :2] - face.points[473, :2])
    moved = (face.points - found.points)[:, 1] / distance
    return np.array([moved[list(ends)].mean() for ends in (INNER, OUTER)])


def test_each_unit_moves_its_end_of_the_brow(warp: PortraitWarp, portrait_face: Face) -> None:
    inner, outer, lowered = (
        rise(warp, state, portrait_face) for state in (UpperFace(inner=1), UpperFace(outer=1), UpperFace(lowered=1))
    )
    assert inner[0] > max(0.05, inner[1])
    assert outer[1] > max(0.04, outer[0])
    assert lowered[0] < -0.03


@pytest.mark.parametrize("unit", ["inner", "outer", "lowered"])
def test_brows_leave_mouth_and_borders_to_the_bit(warp: PortraitWarp, portrait_face: Face, unit: str) -> None:
    moved = warp(warp.portrait, PortraitState(face=UpperFace(**{unit: 1.0})))
    nose = int(portrait_face.points[4, 1])
    np.testing.assert_array_equal(moved.y[nose:], warp.portrait.y[nose:])
    np.testing.assert_array_equal(moved.y[:, :150], warp.portrait.y[:, :150])
    assert not np.array_equal(moved.y[:nose], warp.portrait.y[:nose])
