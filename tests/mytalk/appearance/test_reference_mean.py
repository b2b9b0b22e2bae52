"""The mean of a person's mouths adds to the nearest of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.appearance.bank import distances, half_size
from mytalk.appearance.colour_match import ColourMatcher, matcher_of
from mytalk.appearance.mask import mouth_mask
from mytalk.appearance.paint import WarpedMouth, warp_mouth
from mytalk.appearance.reference_mean import mean_changes
from mytalk.appearance.scene import Neighbours, Reference
from mytalk.appearance.warp import Target, interior_of, target_of
from mytalk.face.landmarks import LOWER_LIPS_INNER, LOWER_LIPS_OUTER

Points = NDArray[np.float32]
SKIN, LIPS, DARK = (np.array(one, np.float32) for one in ((200, 150, 120), (170, 80, 80), (30, 18, 15)))
LOWER = list(LOWER_LIPS_INNER[1:10] + LOWER_LIPS_OUTER[1:10])


def wider(points: Points, by: float) -> Points:
    moved = points.copy()
    moved[LOWER, 1] += by
    return moved


def drawn(points: Points) -> NDArray[np.float32]:
    canvas = np.zeros((128, 128), np.uint8)
    cv2.fillPoly(canvas, [np.rint(points[list(LOWER_LIPS_OUTER)]).astype(np.int32)], 255, cv2.LINE_AA)
    picture = SKIN + canvas[..., None] / np.float32(255) * (LIPS - SKIN)
    return np.asarray(picture + interior_of(points)[..., None] * (DARK - picture), np.float32)


def seen(points: Points, chance: np.random.Generator) -> NDArray[np.uint8]:
    """The mouth as a camera has it one moment: shades that come and go, and grain."""
    shade = cv2.resize(chance.normal(0, 12, (10, 10, 3)).astype(np.float32), (128, 128), interpolation=cv2.INTER_CUBIC)
    neighbours = mouth_mask(points)[..., None]
    return np.asarray(
        np.clip(drawn(points) + neighbours * shade + chance.normal(0, 4, (128, 128, 3)), 0, 255), np.uint8
    )


def bank_of(
    sources: list[Points], pictures: list[NDArray[np.uint8]], target: Target
) -> tuple[WarpedMouth, Neighbours, ColourMatcher]:
    points, half_crops = np.stack(sources), np.stack([half_size(one) for one in pictures])
    distance = distances(points, target.points)
    order = np.argsort(distance)
    crop = pictures[order[0]]
    nothing = (np.zeros((2, 2), np.uint8),) * 3
    mouth = Reference(sources[order[0]], crop, *nothing, np.eye(2, 3, dtype=np.float32), SKIN)
    matcher = matcher_of(drawn(target.points), mouth_mask(target.points))
    nearest = warp_mouth(mouth, target, matcher)
    return nearest, Neighbours(points[order], half_crops[order], distance[order]), matcher


def reference_pictures(
    nearest: WarpedMouth, neighbours: Neighbours, target: Target, matcher: ColourMatcher, count: int
) -> NDArray[np.float32]:
    """Means from wide to narrow, and the nearest mouth."""
    seen = nearest.corrected
    changes = mean_changes(seen, nearest.kept, neighbours, target, matcher, count - 1)
    return np.concatenate([seen + changes, seen[None]])


def test_mean_of_many_mouths_is_nearer_to_the_truth_than_the_nearest(lips: Points) -> None:
    chance = np.random.default_rng(3)
    sources = [wider(lips, by) for by in np.linspace(-1.5, 2, 12)]
    target = target_of(wider(lips, 0.4))
    nearest, neighbours, matcher = bank_of(sources, [seen(one, chance) for one in sources], target)
    wide, narrow, alone = reference_pictures(nearest, neighbours, target, matcher, 3)
    region, truth = mouth_mask(target.points) > 0.9, drawn(target.points)
    errors = [cv2.GaussianBlur(one - truth, (0, 0), 2)[region].std() for one in (wide, narrow, alone)]
    np.testing.assert_array_equal(alone, nearest.corrected)
    assert errors[0] < errors[1] < errors[2]
    assert errors[0] < 0.6 * errors[2]


def test_fine_detail_stays_that_of_the_nearest_mouth(lips: Points) -> None:
    chance = np.random.default_rng(4)
    sources = [wider(lips, by) for by in np.linspace(-1.5, 2, 12)]
    target = target_of(wider(lips, 0.4))
    nearest, neighbours, matcher = bank_of(sources, [seen(one, chance) for one in sources], target)
    wide = reference_pictures(nearest, neighbours, target, matcher, 2)[0]
    region = mouth_mask(target.points) > 0.9
    edges = [cv2.Laplacian(one.mean(axis=2), cv2.CV_32F)[region] for one in (wide, nearest.corrected)]
    assert np.corrcoef(*edges)[0, 1] > 0.95
    assert edges[0].std() == pytest.approx(edges[1].std(), rel=0.1)


def test_one_mouth_alone_is_left_as_it_is(lips: Points) -> None:
    target = target_of(wider(lips, 3))
    nearest, neighbours, matcher = bank_of([lips], [seen(lips, np.random.default_rng(5))], target)
    for one in reference_pictures(nearest, neighbours, target, matcher, 3):
        np.testing.assert_array_equal(one, nearest.corrected)


def test_inside_that_is_drawn_is_not_mixed_with_what_closed_mouths_show(lips: Points) -> None:
    sources = [wider(lips, by) for by in (-14.0, -13.5, -13.0, -12.5)]
    target = target_of(wider(lips, 6))
    nearest, neighbours, matcher = bank_of(sources, [np.uint8(drawn(one)) for one in sources], target)
    assert nearest.kept.min() < 0.01
    wide = reference_pictures(nearest, neighbours, target, matcher, 2)[0]
    np.testing.assert_allclose(wide[nearest.kept == 0], nearest.corrected[nearest.kept == 0])
