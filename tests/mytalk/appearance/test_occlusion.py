"""Things in front of a mouth stay in front of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Picture
from mytalk.appearance.bank import MAX_AGE
from mytalk.appearance.colour_match import CELLS, ColourMatcher, matcher_of
from mytalk.appearance.kernel import is_covered
from mytalk.appearance.occlusion import MIN_MOUTHS, track_cover
from mytalk.appearance.placement import apply_affine
from mytalk.appearance.reference_mean import MAX_NEIGHBOURS
from mytalk.appearance.renderer import MouthRenderer
from mytalk.appearance.sampling import enlarged
from mytalk.appearance.warp import interior_of
from mytalk.face import HeadPose
from mytalk.face.landmarks import LOWER_LIPS_INNER, LOWER_LIPS_OUTER

Points = NDArray[np.float32]
Colours = NDArray[np.float32]
LOWER = list(LOWER_LIPS_INNER[1:10] + LOWER_LIPS_OUTER[1:10])
CHIN = 73  # row of the crop


class Cover:
    """How far each pixel of one frame after the other is covered; None: nothing is."""

    def __init__(self) -> None:
        self.shares = np.zeros((CELLS, CELLS), np.float32)

    def __call__(self, expected: Colours, points: Points, matcher: ColourMatcher) -> NDArray[np.float32] | None:
        some = track_cover(self.shares, expected, interior_of(points), matcher)
        return enlarged(self.shares[..., None], 128)[..., 0] if some else None


@pytest.fixture(scope="module")
def spoken(portrait: Picture, pose: HeadPose, smile: Points) -> list[tuple[Picture, Points]]:
    """Frames in which the mouth opens and closes."""
    renderer = MouthRenderer(None, still=True)
    shapes = [wider(smile, by) for by in np.linspace(-4, 10, 12)]
    return [(renderer.render(portrait, pose, smile, shape), shape) for shape in shapes]


def wider(points: Points, by: float) -> Points:
    moved = points.copy()
    moved[LOWER, 1] += by
    return moved


def behind_a_microphone(picture: Picture, pose: HeadPose, size: float = 11) -> tuple[Picture, NDArray[np.bool_]]:
    """A dark ball before the chin, ``size`` crop pixels in radius, and where it surely is."""
    rgb, where = picture.rgb(), np.zeros((picture.height, picture.width), np.uint8)
    to_picture = cv2.invertAffineTransform(pose.crop_matrix())
    x, y = np.rint(apply_affine(to_picture, np.array([64, CHIN], np.float32))).astype(int).tolist()
    radius = round(size * float(np.linalg.norm(to_picture[:, 0])))
    cv2.circle(rgb, (x, y), radius, (25, 25, 30), -1)
    cv2.circle(where, (x, y), radius // 2, 1, -1)
    return Picture.from_rgb(rgb), where > 0


def observed(frames: list[tuple[Picture, Points]], pose: HeadPose) -> MouthRenderer:
    renderer = MouthRenderer(None)
    for picture, points in frames:
        renderer.observe(picture, pose, points)
    assert renderer.bank_size >= MIN_MOUTHS
    return renderer


def test_a_microphone_before_the_chin_is_not_painted_over(pose: HeadPose, spoken: list[tuple[Picture, Points]]) -> None:
    renderer = observed(spoken, pose)
    film, where = behind_a_microphone(spoken[2][0], pose)
    for _ in range(3):
        shown = renderer.render(film, pose, spoken[2][1], spoken[9][1])
    blind = MouthRenderer(None, still=True)
    blind.observe(spoken[9][0], pose, spoken[9][1])
    painted = blind.render(film, pose, spoken[2][1], spoken[9][1])
    assert np.abs(shown.y[where].astype(int) - film.y[where]).mean() < 4
    assert np.abs(painted.y[where].astype(int) - film.y[where]).mean() > 20  # what it would do
    inside = np.rint(spoken[9][1][LOWER_LIPS_INNER[15]] + (0, 3)).astype(int)
    assert abs(int(shown.y[inside[1], inside[0]]) - int(painted.y[inside[1], inside[0]])) < 25
    assert np.abs(shown.y.astype(int) - film.y).max() > 40  # it does speak


def test_a_mouth_that_says_something_else_is_not_taken_for_covered(
    pose: HeadPose, spoken: list[tuple[Picture, Points]]
) -> None:
    matrix = pose.crop_matrix()
    wide = cv2.warpAffine(spoken[11][0].rgb(), matrix, (128, 128)).astype(np.float32)
    points = apply_affine(matrix, spoken[11][1])
    for current in (wide, wide * np.float32(0.8)):
        assert Cover()(wide, points, matcher_of(current, np.zeros((128, 128), np.float32))) is None
    teeth = wide.copy()
    teeth[interior_of(points) > 0.3] = 230
    assert Cover()(wide, points, matcher_of(teeth, np.zeros((128, 128), np.float32))) is None


def test_cover_comes_at_once_and_goes_within_frames(pose: HeadPose, spoken: list[tuple[Picture, Points]]) -> None:
    matrix = pose.crop_matrix()
    free, hidden = (
        cv2.warpAffine(picture.rgb(), matrix, (128, 128)).astype(np.float32)
        for picture in (spoken[5][0], behind_a_microphone(spoken[5][0], pose)[0])
    )
    goal, nothing = apply_affine(matrix, spoken[5][1]), np.zeros((128, 128), np.float32)
    cover = Cover()
    assert cover(free, goal, matcher_of(free, nothing)) is None
    first = cover(free, goal, matcher_of(hidden, nothing))
    assert first is not None
    assert first[CHIN, 64] > 0.75
    assert first[60, 20] == 0
    for _ in range(3):
        gone = cover(free, goal, matcher_of(free, nothing))
    assert gone is None or gone.max() < 0.3


def test_a_covered_mouth_is_no_reference_until_it_has_been_so_for_long(
    pose: HeadPose, spoken: list[tuple[Picture, Points]]
) -> None:
    renderer = observed([*spoken[:7], *spoken[8:]], pose)
    known = renderer.bank_size
    film, _ = behind_a_microphone(spoken[7][0], pose, 16)
    for _ in range(MAX_AGE):
        renderer.observe(film, pose, spoken[7][1])
    assert renderer.bank_size == known
    renderer.observe(film, pose, spoken[7][1])
    assert renderer.bank_size == known + 1


def test_a_face_that_looks_all_different_is_not_covered(pose: HeadPose, spoken: list[tuple[Picture, Points]]) -> None:
    renderer = observed([*spoken[:7], *spoken[8:]], pose)
    known = renderer.bank_size
    night = Picture.from_rgb((spoken[7][0].rgb() * 0.04).astype(np.uint8))
    renderer.observe(night, pose, spoken[7][1])
    assert renderer.bank_size == known + 1


def test_a_bank_of_few_mouths_takes_nothing_for_covered(pose: HeadPose, spoken: list[tuple[Picture, Points]]) -> None:
    points, matrix = spoken[7][1], pose.crop_matrix()
    film, _ = behind_a_microphone(spoken[7][0], pose, 16)
    crop = np.asarray(cv2.warpAffine(film.rgb(), matrix, (128, 128)), np.uint8)
    few, many = MouthRenderer(None), observed(spoken, pose)
    for picture, shape in spoken[:5]:
        few.observe(picture, pose, shape)
    assert few.bank_size < MIN_MOUTHS
    shape = apply_affine(matrix, points)
    assert not few._is_covered(crop, shape)
    assert is_covered(crop.astype(np.float32), shape, many._bank.find(shape, MAX_NEIGHBOURS).neighbours)
