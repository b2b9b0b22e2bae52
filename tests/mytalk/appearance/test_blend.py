"""Torch, as on a GPU, blends the pictures that the CPU blends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mytalk import Picture
from mytalk.appearance.blend import Blend, Layers, Skin, blend, blend_by_torch, blend_on
from mytalk.appearance.compose import Painting, apply_affine, placement_of
from mytalk.appearance.mask import mouth_mask, moving_mask
from mytalk.appearance.renderer import MouthRenderer
from mytalk.appearance.warp import GRID, Target
from mytalk.face import HeadPose
from mytalk.face.landmarks import LOWER_LIPS_INNER, LOWER_LIPS_OUTER

Points = NDArray[np.float32]
HERE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def by_torch(picture: Picture, layers: Layers) -> Picture:
    return blend_by_torch(HERE, picture, layers)


def planes(picture: Picture) -> list[NDArray[np.uint8]]:
    return [picture.y, picture.u, picture.v]


def opened(smile: Points) -> Points:
    moved = smile.copy()
    moved[list(LOWER_LIPS_INNER[1:10] + LOWER_LIPS_OUTER[1:10]), 1] += 6
    return moved


@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("opacity", [1.0, 0.4])
def test_a_rendered_mouth_is_the_same_to_rounding(
    portrait: Picture, pose: HeadPose, smile: Points, matrix: str, full_range: bool, opacity: float
) -> None:
    picture = Picture(portrait.y, portrait.u, portrait.v, matrix, full_range)  # type: ignore[arg-type]
    made = []
    for one in (blend, by_torch):
        renderer = MouthRenderer(None, still=True)
        renderer._blend = one
        made.append(renderer.render(picture, pose, smile, opened(smile), opacity))
    luma = np.abs(made[1].y.astype(int) - picture.y)
    assert (luma > 10).sum() > 100  # much more than what follows
    for one, other, before in zip(*map(planes, (*made, picture)), strict=True):
        changed = one != before
        apart = np.abs(one.astype(int) - other)
        assert apart.max() <= 3  # half of a 32nd pixel, at an edge of 200 steps
        assert apart[changed].mean() < 0.3


def layers_of(picture: Picture, pose: HeadPose, smile: Points, case: str) -> Layers:
    to_crop = pose.crop_matrix()
    place = placement_of(picture, to_crop)
    assert place is not None
    seen = apply_affine(to_crop, smile)
    goal = Target(apply_affine(to_crop, opened(smile)))
    size = 64 if case == "painted" else 128
    colours = np.random.default_rng(1).uniform(60, 200, (8, 8, 3)).repeat(size // 8, 0).repeat(size // 8, 1)
    painting = Painting(None, GRID, None, colours.astype(np.float32))
    skin = Skin(picture.region_rgb(place.box), place.to_pixels, goal.flow_from(seen), moving_mask(seen, goal.points))
    return Layers(skin if case == "skin" else None, painting, mouth_mask(goal.points), place, 1.0)


@pytest.mark.parametrize("case", ["painted", "skin"])
def test_a_painted_mouth_of_any_size_and_moved_skin(
    portrait: Picture, pose: HeadPose, smile: Points, case: str
) -> None:
    layers = layers_of(portrait, pose, smile, case)
    for one, other in zip(*(planes(do(portrait, layers)) for do in (blend, by_torch)), strict=True):
        apart = np.abs(one.astype(int) - other)
        assert apart.max() > 0 or case == "painted"
        assert apart.mean() < 0.05
        assert np.percentile(apart, 99.5) <= 3


def test_nothing_changes_where_nothing_is_painted(portrait: Picture, pose: HeadPose, smile: Points) -> None:
    layers = layers_of(portrait, pose, smile, "painted")
    blended = by_torch(portrait, layers)
    x0, y0, x1, y1 = layers.placement.box
    outside = np.ones_like(portrait.y, bool)
    outside[y0:y1, x0:x1] = False
    assert np.array_equal(blended.y[outside], portrait.y[outside])
    corner = (slice(y0, y0 + 8), slice(x0, x0 + 8))  # of the crop, where the mask is 0
    assert np.array_equal(blended.y[corner], portrait.y[corner])
    assert not np.array_equal(blended.y, portrait.y)


def test_pictures_are_blended_where_the_models_are() -> None:
    here: Blend = blend_on(torch.device("cpu"))
    assert here is blend
    assert blend_on(torch.device("cuda")) is not blend
