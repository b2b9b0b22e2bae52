"""Promises of colour matching, exposure and the drawn inside of the mouth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.appearance.colour_match import correction, matcher_of
from mytalk.appearance.mask import mouth_mask
from mytalk.appearance.mouth_interior import interior_colours
from mytalk.appearance.network_inputs import mouth_inputs
from mytalk.appearance.placement import apply_affine
from mytalk.appearance.warp import GRID, interior_of
from mytalk.face import Face, fit_pose
from mytalk.face.landmarks import INNER_LOWER, INNER_UPPER, LOWER_FACE, LOWER_LIPS_INNER, LOWER_MIRROR

Points = NDArray[np.float32]
SKIN = np.array([200, 150, 120], np.float32)


@pytest.fixture(scope="module")
def points(portrait_face: Face) -> Points:
    return apply_affine(fit_pose(portrait_face).crop_matrix(), portrait_face.points[list(LOWER_FACE), :2])


@pytest.fixture(scope="module")
def face() -> NDArray[np.float32]:
    """Skin with some texture."""
    texture = np.random.default_rng(2).normal(0, 6, (128, 128, 1))
    return np.asarray(SKIN + texture, np.float32)


def test_a_mouth_in_the_same_light_is_left_as_it_is(points: Points, face: NDArray[np.float32]) -> None:
    assert np.abs(correction(matcher_of(face, mouth_mask(points)), face)).max() < 0.01


def test_a_mouth_seen_in_less_light_is_brought_to_the_frames(points: Points, face: NDArray[np.float32]) -> None:
    region, darker = mouth_mask(points), face * np.float32(0.94)
    matched = darker + correction(matcher_of(face, region), darker)
    assert np.abs(matched - face)[region > 0.5].mean() < 1.5


@pytest.mark.parametrize("light", [(0.6, 0.6, 0.6), (1.25, 1.2, 1.0), (0.8, 0.9, 1.1)])
def test_a_lamp_that_goes_on_or_off_lights_the_mouth_as_it_does_the_face(
    points: Points, face: NDArray[np.float32], light: tuple[float, float, float]
) -> None:
    region, corrected = mouth_mask(points), face * np.array(light, np.float32)
    current = corrected.copy()
    current[(region == 0) & (np.arange(128) > 95)] = (30, 60, 40)  # and a part around it is of another thing
    matched = face + correction(matcher_of(current, region), face)
    assert np.abs(matched / corrected - 1)[region > 0.5].mean() < 0.02


def test_other_content_around_the_mouth_does_not_recolour_it(points: Points, face: NDArray[np.float32]) -> None:
    region, current = mouth_mask(points), face.copy()
    current[region == 0] = 20.0
    change = correction(matcher_of(current, region), face)
    assert np.abs(change / face).max() < 0.15


def test_background_beside_a_turned_cheek_does_not_tint_it(points: Points, face: NDArray[np.float32]) -> None:
    region, current = mouth_mask(points), face.copy()
    beside = (region == 0) & (np.arange(128) > 90)
    current[beside] = (150, 155, 155)
    change = correction(matcher_of(current, region), face)
    assert np.abs(change / face)[region > 0.5].max() < 0.02


def test_network_sees_the_same_whatever_the_exposure(points: Points, face: NDArray[np.float32]) -> None:
    region, window = mouth_mask(points), (slice(8, 104), slice(16, 112))

    def seen(colours: NDArray[np.float32]) -> NDArray[np.float32]:
        return mouth_inputs(np.stack([colours] * 3), colours, region, points, window).references

    striped = face + 40 * np.sin(GRID[..., :1] / 5)
    assert seen(striped) == pytest.approx(seen(0.5 * striped + 20), abs=1e-3)


def test_drawn_inside_is_dark_with_lighter_teeth_on_top(points: Points) -> None:
    wide = points.copy()
    wide[list(LOWER_LIPS_INNER[1:10]), 1] += 12
    inside = interior_colours(wide, SKIN).mean(axis=2)
    upper, lower = wide[INNER_UPPER[2]], wide[INNER_LOWER[2]]

    def at(share: float) -> float:
        x, y = np.rint(upper + share * (lower - upper)).astype(int)
        return float(inside[y, x - 3 : x + 4].max())

    assert at(0.2) > 2.5 * at(0.5)
    assert at(0.5) < 0.35 * SKIN.mean()
    assert at(0.5) < at(0.85) < at(0.2)


def test_drawn_inside_of_a_mirrored_mouth_is_mirrored(points: Points) -> None:
    wide = points.copy()
    wide[list(LOWER_LIPS_INNER[1:10]), 1] += 12
    mirrored = wide[list(LOWER_MIRROR)] * np.array([-1, 1], np.float32) + np.array([127, 0], np.float32)
    inside, other = interior_colours(wide, SKIN), interior_colours(mirrored, SKIN)[:, ::-1]
    assert np.percentile(np.abs(inside - other)[interior_of(wide) > 0.5], 95) < 5
