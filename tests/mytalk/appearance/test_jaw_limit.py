"""The jaw follows a little; the lips go where they are wanted."""

from __future__ import annotations

import numpy as np

from mytalk.appearance.jaw_limit import MAX_JAW_MOVE, limit_jaw
from mytalk.face.landmarks import LOWER_FACE, LOWER_LIPS_INNER, LOWER_LIPS_OUTER, TEMPLATE

SEEN = np.asarray((TEMPLATE[list(LOWER_FACE), :2] + [0.8, -0.55]) * 80, np.float32)
CHIN = LOWER_FACE.index(152)
LIPS = [*LOWER_LIPS_OUTER, *LOWER_LIPS_INNER]


def test_a_small_move_is_kept() -> None:
    wanted = SEEN + np.float32(0.5 * MAX_JAW_MOVE)
    np.testing.assert_allclose(limit_jaw(wanted, SEEN), wanted, atol=1e-4)


def test_a_far_move_of_the_jaw_is_limited_and_the_lips_are_free() -> None:
    wanted = SEEN - np.array([0, 28], np.float32)
    limited = limit_jaw(wanted, SEEN)
    np.testing.assert_allclose(limited[LIPS], wanted[LIPS], atol=0.5)
    assert abs(np.linalg.norm(limited[CHIN] - SEEN[CHIN]) - MAX_JAW_MOVE) < 0.5


def test_the_order_of_points_from_lips_to_chin_is_kept() -> None:
    limited = limit_jaw(SEEN - np.array([0, 28], np.float32), SEEN)
    column = [LOWER_FACE.index(i) for i in (17, 18, 200, 199, 175, 152)]
    assert (np.diff(limited[column, 1]) > 0).all()
