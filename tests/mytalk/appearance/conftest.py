"""The face that tests of the second stage work on."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.appearance.placement import apply_affine
from mytalk.face import Face, HeadPose, fit_pose
from mytalk.face.landmarks import LOWER_FACE, LOWER_LIPS_INNER, LOWER_LIPS_OUTER


@pytest.fixture(scope="module")
def pose(portrait_face: Face) -> HeadPose:
    return fit_pose(portrait_face)


@pytest.fixture(scope="module")
def smile(portrait_face: Face) -> NDArray[np.float32]:
    """The portrait's lower face in picture pixels."""
    return portrait_face.points[list(LOWER_FACE), :2]


@pytest.fixture(scope="module")
def lips(pose: HeadPose, smile: NDArray[np.float32]) -> NDArray[np.float32]:
    """An open mouth in crop pixels."""
    points = apply_affine(pose.crop_matrix(), smile)
    points[list(LOWER_LIPS_INNER[1:10] + LOWER_LIPS_OUTER[1:10]), 1] += 10
    return points
