"""The tracker finds faces that stand upright or lie, and leaves those that stand on their head alone."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.face import FaceTracker, SpeakerTracker, fit_pose
from mytalk.picture import Picture


def turned(portrait: Picture, degrees: float) -> Picture:
    """The portrait's head, turned clockwise around its middle."""
    rgb: NDArray[np.uint8] = portrait.rgb()[0:280, 84:364]
    matrix = cv2.getRotationMatrix2D((140, 140), -degrees, 1.0)
    return Picture.from_rgb(cv2.warpAffine(rgb, matrix, (280, 280), borderMode=cv2.BORDER_REPLICATE))


@pytest.mark.parametrize("degrees", [0, 45, 90, -90])
def test_a_face_that_lies_is_tracked_as_it_lies(portrait: Picture, degrees: float) -> None:
    tracker = FaceTracker()
    face = tracker(turned(portrait, degrees))
    assert face is not None
    down = fit_pose(face).rotation[:2, 1]
    wanted = np.radians(degrees)
    assert down @ [-np.sin(wanted), np.cos(wanted)] > 0.9


@pytest.mark.parametrize("kind", [FaceTracker, SpeakerTracker])
def test_a_face_upside_down_is_left_alone_until_it_stands_upright(
    portrait: Picture, kind: type[FaceTracker] | type[SpeakerTracker]
) -> None:
    tracker = kind()
    found = [tracker(turned(portrait, degrees)) is not None for degrees in (180, 175, 185, 0, 0)]
    assert found == [False, False, False, True, True]
