"""Two faces in one picture: the chosen one keeps its mouth, however they cross."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Picture
from mytalk.face import Face, SpeakerTracker, fit_pose
from mytalk.face.appearance_match import describe_face, descriptor_distance
from mytalk.face.speaker import MAX_HIDDEN

COUNT = 72  # pictures from one side to the other
Layer = tuple[NDArray[np.float32], NDArray[np.float32]]  # pixels, and how far they cover


@pytest.fixture(scope="module")
def heads(portrait: Picture) -> tuple[Layer, Layer]:
    """The astronaut, and somebody darker with her face turned round and a little smaller."""
    pixels = portrait.rgb()[10:190, 140:310].astype(np.float32)
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    far = np.hypot(x / pixels.shape[1] * 2 - 1, y / pixels.shape[0] * 2 - 1)
    cover = np.clip((1 - far) * 6, 0, 1).astype(np.float32)[..., None]
    size = (154, 164)
    other = np.clip(cv2.resize(pixels[:, ::-1], size) * np.array([0.6, 0.5, 0.42], np.float32) + 10, 0, 255)
    return (pixels, cover), (other, cv2.resize(cover[:, ::-1], size)[..., None])


def picture(
    heads: tuple[Layer, Layer], places: tuple[int | None, int | None], front: int = 1, ground: int = 110
) -> Picture:
    """Both heads with their left edges at ``places``; None: not in it."""
    image = np.full((320, 640, 3), ground, np.float32)
    for index in (1 - front, front):
        pixels, cover = heads[index]
        left = places[index]
        if left is not None:
            part = image[60 : 60 + len(pixels), left : left + pixels.shape[1]]
            part += cover * (pixels - part)
    return Picture.from_rgb(image.astype(np.uint8))


@pytest.fixture
def tracker() -> SpeakerTracker:
    return SpeakerTracker()


def is_at(face: Face | None, left: int, head: Layer) -> bool:
    assert face is not None
    return abs((face.box[0] + face.box[2]) / 2 - left - head[0].shape[1] / 2) < 20


@pytest.mark.parametrize("front", [0, 1])
def test_faces_that_cross_do_not_swap_mouths(heads: tuple[Layer, Layer], tracker: SpeakerTracker, front: int) -> None:
    seen = []
    for n in range(COUNT):
        own, other = 60 + 340 * n // COUNT, 420 - 360 * n // COUNT
        face = tracker(picture(heads, (own, other), front))
        if face is not None and abs(own - other) > 60:  # apart: there is no doubt who it is
            seen.append(is_at(face, own, heads[0]))
    assert all(seen)
    assert len(seen) > COUNT // 2
    assert face is not None  # back after it was hidden


def test_a_point_says_who_speaks_and_may_be_moved(heads: tuple[Layer, Layer], tracker: SpeakerTracker) -> None:
    shown = picture(heads, (60, 420))
    assert is_at(tracker(shown), 60, heads[0])
    tracker.choice = (0.8, 0.5)
    assert is_at(tracker(shown), 420, heads[1])
    assert is_at(tracker(shown), 420, heads[1])
    tracker.choice = (0.1, 0.2)
    assert is_at(tracker(shown), 60, heads[0])


def test_the_same_person_has_the_same_number_in_every_shot(heads: tuple[Layer, Layer], tracker: SpeakerTracker) -> None:
    shots = [((60, None), 110), ((None, 420), 220), ((300, None), 110), ((None, 100), 220)]
    numbers = []
    for places, ground in shots:
        faces = [tracker(picture(heads, places, ground=ground)) for _ in range(4)]
        assert len({face.person for face in faces if face is not None}) == 1
        assert faces[-1] is not None
        numbers.append(faces[-1].person)
    assert numbers == [0, 1, 0, 1]


def test_the_only_face_left_speaks_after_two_seconds_and_gives_way(
    heads: tuple[Layer, Layer], tracker: SpeakerTracker
) -> None:
    for _ in range(20):
        tracker(picture(heads, (60, 420)))
    alone = picture(heads, (None, 420))
    waited = [tracker(alone) for _ in range(MAX_HIDDEN + 5)]
    assert not any(waited[3 : MAX_HIDDEN - 5])
    assert is_at(waited[-1], 420, heads[1])


def test_in_another_shot_whoever_is_there_speaks_at_once(heads: tuple[Layer, Layer], tracker: SpeakerTracker) -> None:
    for _ in range(20):
        tracker(picture(heads, (60, 420)))
    assert is_at(tracker(picture(heads, (None, 100), ground=220)), 100, heads[1])


def test_a_likeness_tells_people_apart_and_not_moments(portrait: Picture, portrait_face: Face) -> None:
    pose = fit_pose(portrait_face)
    one = describe_face(portrait, pose)
    rgb = portrait.rgb()
    lighter = describe_face(Picture.from_rgb(np.clip(rgb * 1.05 + 2, 0, 255).astype(np.uint8)), pose)
    shifted = describe_face(Picture.from_rgb(np.roll(rgb, 1, axis=1)), pose)
    dark = describe_face(Picture.from_rgb((rgb * np.array([0.6, 0.5, 0.42])).astype(np.uint8)), pose)
    assert max(descriptor_distance(one, lighter), descriptor_distance(one, shifted)) < 0.3
    assert descriptor_distance(one, dark) > 3 * max(
        descriptor_distance(one, lighter), descriptor_distance(one, shifted)
    )
