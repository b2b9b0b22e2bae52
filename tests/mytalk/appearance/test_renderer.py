"""Promises of the mouth renderer, on a real face."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mytalk import Picture
from mytalk.appearance.mask import mouth_mask, moving_mask
from mytalk.appearance.model import AppearanceModel
from mytalk.appearance.placement import apply_affine, placement_of
from mytalk.appearance.preset import EDGE
from mytalk.appearance.renderer import MouthRenderer
from mytalk.face import HeadPose
from mytalk.face.landmarks import LOWER_FACE, LOWER_LIPS_INNER, LOWER_LIPS_OUTER
from tests.mytalk.support.crop_fields import resample_field

Points = NDArray[np.float32]


@pytest.fixture(scope="module")
def open_mouth(smile: Points) -> Points:
    """Lower lip and chin 6 pixels down."""
    moved = smile.copy()
    moved[list(LOWER_LIPS_INNER[1:10] + LOWER_LIPS_OUTER[1:10]), 1] += 6
    moved[smile[:, 1] > smile[list(LOWER_LIPS_OUTER), 1].max(), 1] += 4
    return moved


@pytest.fixture(scope="module")
def trained() -> AppearanceModel:
    """A network that paints something; what, does not matter here."""
    torch.manual_seed(3)
    model = AppearanceModel(EDGE).eval()
    torch.nn.init.normal_(model.decoder.conv_out.weight, std=0.02)
    return model


def planes(picture: Picture) -> list[NDArray[np.uint8]]:
    return [picture.y, picture.u, picture.v]


def same(one: Picture, other: Picture) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(planes(one), planes(other), strict=True))


@pytest.mark.parametrize("opens", [False, True])
def test_nothing_outside_the_mask_changes(
    portrait: Picture, pose: HeadPose, smile: Points, open_mouth: Points, trained: AppearanceModel, opens: bool
) -> None:
    wanted = open_mouth if opens else smile
    rendered = MouthRenderer(trained).render(portrait, pose, smile, wanted)
    matrix = pose.crop_matrix()
    place = placement_of(portrait, matrix)
    assert place is not None
    mask = mouth_mask(apply_affine(matrix, wanted))
    if opens:
        mask = np.maximum(mask, moving_mask(apply_affine(matrix, smile), apply_affine(matrix, wanted)))
    changeable = np.zeros((portrait.height, portrait.width), bool)
    x0, y0, x1, y1 = place.box
    changeable[y0:y1, x0:x1] = resample_field(mask, place) > 0
    assert np.array_equal(rendered.y[~changeable], portrait.y[~changeable])
    half = changeable.reshape(portrait.height // 2, 2, portrait.width // 2, 2).any(axis=(1, 3))
    assert np.array_equal(rendered.u[~half], portrait.u[~half])
    assert np.array_equal(rendered.v[~half], portrait.v[~half])
    change = np.abs(rendered.y.astype(int) - portrait.y).max()
    assert change > 20 if opens else change <= 2  # a mouth that is wanted as it was filmed stays so


def distance_from_lips(pose: HeadPose, points: Points) -> NDArray[np.float32]:
    """Of each pixel of the mouth crop; 0 on the lips and between them."""
    canvas = np.full((128, 128), 255, np.uint8)
    lips = apply_affine(pose.crop_matrix(), points)[list(LOWER_LIPS_OUTER)]
    cv2.fillPoly(canvas, [np.rint(lips).astype(np.int32)], 0)
    return np.asarray(cv2.distanceTransform(canvas, cv2.DIST_L2, 3), np.float32)


def painted_green(picture: Picture, pose: HeadPose, part: NDArray[np.bool_]) -> Picture:
    """The picture with part ``(128, 128)`` of its mouth crop green."""
    place = placement_of(picture, pose.crop_matrix())
    assert place is not None
    green = np.tile(np.array([0, 255, 0], np.float32), (*place.size[::-1], 1))
    return picture.with_region(place.box, green, resample_field(part.astype(np.float32), place))


def mouth_crop(picture: Picture, pose: HeadPose) -> NDArray[np.float32]:
    return np.asarray(cv2.warpAffine(picture.rgb(), pose.crop_matrix(), (128, 128)), np.float32)


@pytest.mark.parametrize("opens", [False, True])
def test_lips_are_never_those_of_the_film(
    portrait: Picture, pose: HeadPose, smile: Points, open_mouth: Points, opens: bool
) -> None:
    wanted = open_mouth if opens else smile
    renderer = MouthRenderer(None, still=True)
    renderer.observe(portrait, pose, smile)
    green_lips = painted_green(portrait, pose, distance_from_lips(pose, smile) == 0)
    rendered = mouth_crop(renderer.render(green_lips, pose, smile, wanted), pose)
    lips = distance_from_lips(pose, wanted) == 0
    assert np.mean((rendered[..., 1] > rendered[..., 0])[lips]) < 0.01  # lips are redder than green


def test_skin_that_need_not_move_is_the_films_own(portrait: Picture, pose: HeadPose, smile: Points) -> None:
    renderer = MouthRenderer(None, still=True)
    renderer.observe(portrait, pose, smile)
    away = distance_from_lips(pose, smile)
    film = painted_green(portrait, pose, away > 10)
    rendered = renderer.render(film, pose, smile, smile)
    assert np.array_equal(mouth_crop(rendered, pose)[away > 12], mouth_crop(film, pose)[away > 12])


def test_no_opacity_gives_the_same_picture(
    portrait: Picture, pose: HeadPose, smile: Points, open_mouth: Points
) -> None:
    assert MouthRenderer(None).render(portrait, pose, smile, open_mouth, opacity=0.0) is portrait


def test_opacity_fades_between_filmed_and_rendered(
    portrait: Picture, pose: HeadPose, smile: Points, open_mouth: Points
) -> None:
    renderer = MouthRenderer(None)
    full = renderer.render(portrait, pose, smile, open_mouth).y.astype(float) - portrait.y
    half = renderer.render(portrait, pose, smile, open_mouth, opacity=0.5).y.astype(float) - portrait.y
    assert half == pytest.approx(full / 2, abs=1.0)


def test_a_mouth_that_the_bank_holds_comes_back_nearly_as_filmed(
    portrait: Picture, pose: HeadPose, smile: Points
) -> None:
    rendered = MouthRenderer(None).render(portrait, pose, smile, smile)
    assert np.abs(rendered.y.astype(int) - portrait.y).max() <= 3


def test_untrained_network_leaves_the_mesh_warp_as_it_is(
    portrait: Picture, pose: HeadPose, smile: Points, open_mouth: Points
) -> None:
    torch.manual_seed(0)
    with_network = MouthRenderer(AppearanceModel(EDGE)).render(portrait, pose, smile, open_mouth)
    assert same(with_network, MouthRenderer(None).render(portrait, pose, smile, open_mouth))


def test_rendering_is_deterministic(
    portrait: Picture, pose: HeadPose, smile: Points, open_mouth: Points, trained: AppearanceModel
) -> None:
    one, other = (MouthRenderer(trained).render(portrait, pose, smile, open_mouth) for _ in range(2))
    assert same(one, other)


def test_mouth_opens_and_shows_the_dark(portrait: Picture, pose: HeadPose, smile: Points, open_mouth: Points) -> None:
    rendered = MouthRenderer(None, still=True).render(portrait, pose, smile, open_mouth)
    x, y = (open_mouth[LOWER_FACE.index(14)] + [0, -2]).astype(int)
    assert rendered.y[y, x] < 0.6 * portrait.y[y, x]


def test_a_face_half_out_of_the_picture_is_rendered_where_it_shows(
    portrait: Picture, pose: HeadPose, smile: Points, open_mouth: Points
) -> None:
    x = int(smile[:, 0].mean()) & ~1
    part = Picture(portrait.y[:, x:], portrait.u[:, x // 2 :], portrait.v[:, x // 2 :], portrait.matrix)
    shift = np.array([x, 0], np.float32)
    moved = HeadPose(pose.scale, pose.rotation, pose.translation - np.array([x, 0, 0], np.float32))
    rendered = MouthRenderer(None).render(part, moved, smile - shift, open_mouth - shift)
    assert not same(rendered, part)


def test_a_still_keeps_its_one_picture(portrait: Picture, pose: HeadPose, smile: Points, open_mouth: Points) -> None:
    renderer = MouthRenderer(None, still=True)
    renderer.observe(portrait, pose, smile)
    renderer.observe(portrait, pose, open_mouth)
    assert renderer.bank_size == 1


def test_further_mouths_change_what_the_network_paints(
    portrait: Picture, pose: HeadPose, smile: Points, open_mouth: Points, trained: AppearanceModel
) -> None:
    alone, helped = MouthRenderer(trained), MouthRenderer(trained)
    alone.observe(portrait, pose, smile)
    helped.observe(portrait, pose, smile)
    opened = MouthRenderer(None).render(portrait, pose, smile, open_mouth)
    helped.observe(opened, pose, open_mouth)
    assert (alone.bank_size, helped.bank_size) == (1, 2)
    between = smile + np.float32(0.3) * (open_mouth - smile)
    one = alone.render(portrait, pose, smile, between)
    assert not same(one, helped.render(portrait, pose, smile, between))


def test_a_preset_of_one_reference_renders(
    portrait: Picture, pose: HeadPose, smile: Points, open_mouth: Points
) -> None:
    torch.manual_seed(3)
    model = AppearanceModel(replace(EDGE, references=1))
    torch.nn.init.normal_(model.decoder.conv_out.weight, std=0.02)
    rendered = MouthRenderer(model).render(portrait, pose, smile, open_mouth)
    assert not same(rendered, MouthRenderer(None).render(portrait, pose, smile, open_mouth))
