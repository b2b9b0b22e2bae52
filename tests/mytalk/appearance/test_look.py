"""Pictures of other mouths give the lips their look, and nothing outside of the mouth region changes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Picture
from mytalk.appearance.look import SeenMouth
from mytalk.appearance.mask import mouth_mask
from mytalk.appearance.placement import apply_affine
from mytalk.appearance.renderer import MouthRenderer
from mytalk.face import Face, HeadPose
from mytalk.face.landmarks import LIPS_INNER, LIPS_OUTER

LIPSTICK, ENAMEL = (150, 20, 60), (250, 250, 235)


def areas(face: Face, picture: Picture) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Lips, and what is between them."""
    masks = []
    for loop in (LIPS_OUTER, LIPS_INNER):
        mask = np.zeros(picture.y.shape, np.uint8)
        cv2.fillPoly(mask, [face.points[list(loop), :2].round().astype(np.int32)], 1)
        masks.append(mask > 0)
    return masks[0] & ~masks[1], masks[1]


@pytest.fixture(scope="module")
def painted(portrait: Picture, portrait_face: Face, pose: HeadPose, smile: NDArray[np.float32]) -> SeenMouth:
    """The portrait in lipstick, in warmer light, its teeth whitened."""
    lips, teeth = areas(portrait_face, portrait)
    rgb = portrait.rgb().astype(np.float32) * [1.1, 1.0, 0.8]
    rgb[lips] = 0.3 * rgb[lips] + 0.7 * np.array(LIPSTICK)
    rgb[teeth] = 0.3 * rgb[teeth] + 0.7 * np.array(ENAMEL)
    return SeenMouth(Picture.from_rgb(np.clip(rgb, 0, 255).astype(np.uint8)), pose, smile)


def mean_colours(picture: Picture, face: Face) -> NDArray[np.float64]:
    """Mean colour of lips, and of what is between them, ``(2, 3)``."""
    rgb = picture.rgb().astype(np.float64)
    return np.array([rgb[area].mean(axis=0) for area in areas(face, picture)])


def test_lips_and_teeth_are_nearer_to_the_reference_than_to_the_film(
    portrait: Picture, portrait_face: Face, pose: HeadPose, smile: NDArray[np.float32], painted: SeenMouth
) -> None:
    own = MouthRenderer(None, still=True)
    worn = MouthRenderer(None, still=True, look=(painted,))
    films, made = (mean_colours(one.render(portrait, pose, smile, smile), portrait_face) for one in (own, worn))
    reference = mean_colours(painted.picture, portrait_face)
    to_reference, to_film = (np.linalg.norm(made - one, axis=1) for one in (reference, films))
    assert (to_reference < 0.5 * to_film).all()


def test_outside_the_mask_nothing_changes_and_skin_beside_the_lips_keeps_its_colour(
    portrait: Picture, pose: HeadPose, smile: NDArray[np.float32], painted: SeenMouth
) -> None:
    made = MouthRenderer(None, still=True, look=(painted,)).render(portrait, pose, smile, smile)
    to_crop = pose.crop_matrix()
    mask = cv2.dilate(mouth_mask(apply_affine(to_crop, smile)), np.ones((3, 3)))  # a pixel of the crop, for rounding
    changed = np.argwhere(made.y != portrait.y)[:, ::-1].astype(np.float32)
    places = apply_affine(to_crop, changed).round().astype(int).clip(0, 127)
    assert (mask[places[:, 1], places[:, 0]] > 0).all()
    corner = (pose.to_frame(np.array([0.0, 1.55, 0.0], np.float32))[:2]).round().astype(int)  # between lip and chin
    patch = slice(corner[1] - 2, corner[1] + 3), slice(corner[0] - 2, corner[0] + 3)
    assert np.abs(made.rgb()[patch].astype(int) - portrait.rgb()[patch]).mean() < 6


def test_a_look_is_not_taken_for_an_object_nor_mixed_with_the_film_s_mouths(
    portrait: Picture, pose: HeadPose, smile: NDArray[np.float32], painted: SeenMouth
) -> None:
    shifts = np.linspace(0, 0.7, 9, dtype=np.float32)
    look = tuple(SeenMouth(painted.picture, painted.pose, smile + shift) for shift in shifts)
    worn = MouthRenderer(None, look=look)
    size = worn.bank_size
    first = worn.render(portrait, pose, smile, smile)
    worn.observe(portrait, pose, smile)
    assert worn.bank_size == size
    np.testing.assert_array_equal(worn.render(portrait, pose, smile, smile).y, first.y)


def test_a_look_is_as_dark_as_the_film(
    portrait: Picture, pose: HeadPose, smile: NDArray[np.float32], portrait_face: Face, painted: SeenMouth
) -> None:
    dark = Picture.from_rgb((portrait.rgb() * 0.7).astype(np.uint8))
    bright, dim = (
        mean_colours(MouthRenderer(None, look=(painted,)).render(one, pose, smile, smile), portrait_face)
        for one in (portrait, dark)
    )
    assert (dim.mean(axis=1) < 0.92 * bright.mean(axis=1)).all()
