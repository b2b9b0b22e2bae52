"""Landmarks are those of MediaPipe's own face mesh: as stored from it, and as it finds them where it is installed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.face import FaceTracker
from mytalk.training.face.reference import MediaPipeMesh, moving, read_reference, stills

STORED = Path(__file__).with_name("reference_landmarks.npz")
LIMIT = 0.3  # pixels, at 512 x 512

Points = NDArray[np.float32]


@cache
def tracked_stills() -> dict[str, Points]:
    """Each picture by a tracker that has seen no other."""
    found = {name: FaceTracker()(picture) for name, picture in stills().items()}
    return {name: face.points for name, face in found.items() if face is not None}


@cache
def tracked_moving() -> list[Points]:
    tracker = FaceTracker()
    found = [tracker(picture) for picture in moving()]
    return [face.points for face in found if face is not None]


def assert_same(ours: Points, theirs: Points) -> None:
    apart = np.abs(ours - theirs).max()
    assert apart < LIMIT, f"{apart:.2f} pixels apart"


@pytest.mark.parametrize("name", stills())
def test_stills_have_the_landmarks_that_mediapipe_found(name: str) -> None:
    assert_same(tracked_stills()[name], read_reference(STORED)[0][name])


def test_a_moving_face_has_the_landmarks_that_mediapipe_found() -> None:
    theirs = read_reference(STORED)[1]
    assert len(tracked_moving()) == len(theirs)
    for ours, one in zip(tracked_moving(), theirs, strict=True):
        assert_same(ours, one)


def test_landmarks_are_those_that_mediapipe_finds_here() -> None:
    pytest.importorskip("mediapipe", reason="needs the reference extra")
    still, tracking = MediaPipeMesh(still=True), MediaPipeMesh()
    for name, picture in stills().items():
        theirs = still(picture)
        assert theirs is not None
        assert_same(tracked_stills()[name], theirs)
    for ours, picture in zip(tracked_moving(), moving(), strict=True):
        theirs = tracking(picture)
        assert theirs is not None
        assert_same(ours, theirs)
