"""The tracker finds faces that stand upright or lie, and leaves those that stand on their head alone."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import mytalk.face.tracker
from mytalk.face import FaceTracker, SpeakerTracker, fit_pose
from mytalk.face.detector import detect_faces
from mytalk.face.region import Region
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


def shrunk(portrait: Picture, side: int, degrees: float = 0) -> Picture:
    """The portrait's head, in a picture of this side: 280 shows a face of 92 pixels."""
    return Picture.from_rgb(cv2.resize(turned(portrait, degrees).rgb(), (side, side), interpolation=cv2.INTER_AREA))


@pytest.mark.parametrize("kind", [FaceTracker, SpeakerTracker])
@pytest.mark.parametrize("side", [140, 80])
def test_a_face_that_is_too_small_is_looked_for_where_it_was(
    portrait: Picture, kind: type[FaceTracker] | type[SpeakerTracker], side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Searching the whole picture each time would cost three times as much as tracking a face that is usable."""
    searched = []

    def count(*given: Any) -> list[Region]:
        searched.append(given)
        return detect_faces(*given)

    monkeypatch.setattr(mytalk.face.tracker, "detect_faces", count)
    tracker, small = kind(), shrunk(portrait, side)
    for _ in range(8):
        assert (tracker(small), tracker.too_small) == (None, True)
    assert len(searched) == 1


def test_a_face_that_was_too_small_is_found_once_it_is_larger_unless_it_stands_on_its_head(portrait: Picture) -> None:
    for degrees, found in ((0, True), (180, False)):
        tracker = FaceTracker()
        for side in (140, 146, 154, 164, 176):
            face = tracker(shrunk(portrait, side, degrees))
        assert (face is not None) == found
