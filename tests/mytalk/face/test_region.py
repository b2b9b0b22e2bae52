"""A region is sampled where it says: turned, scaled, averaged down, and beyond the picture's edge."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mytalk.face.region import Region, sample_rgb
from mytalk.picture import Picture

PIXELS = 64


def bright_spot(picture: Picture, region: Region, coarsest: float = 2.0) -> tuple[float, float]:
    """Returns the centre of brightness of the sampled region, in shares of its side."""
    light = sample_rgb(picture, region, PIXELS, coarsest).mean(axis=2)
    y, x = np.mgrid[:PIXELS, :PIXELS] / PIXELS
    weight = np.clip(light - 40, 0, None)
    return float((x * weight).sum() / weight.sum()), float((y * weight).sum() / weight.sum())


def spotted(side: int, x: float, y: float, radius: float) -> Picture:
    """A dark square picture with a bright round spot."""
    rows, columns = np.mgrid[:side, :side]
    spot = np.clip(radius + 0.5 - np.hypot(columns - x, rows - y), 0, 1)
    return Picture.from_rgb(np.repeat((20 + 200 * spot).astype(np.uint8)[..., None], 3, axis=2))


@pytest.mark.parametrize("angle", [0.0, 0.6, math.pi / 2, -2.5])
@pytest.mark.parametrize(("side", "scale"), [(300, 1), (1800, 6)])
def test_a_place_in_the_picture_is_found_in_the_sample(angle: float, side: int, scale: int) -> None:
    region = Region(side * 0.45, side * 0.55, side * 0.5, angle)
    wanted = (0.3, 0.6)
    x, y = region.to_picture(np.array([wanted], np.float32))[0]
    found = bright_spot(spotted(side, float(x), float(y), 12.0 * scale), region)
    np.testing.assert_allclose(found, wanted, atol=0.3 / PIXELS)


def test_a_region_around_level_eyes_is_not_turned() -> None:
    eyes = np.array([[10, 20], [50, 20]], np.float32)
    region = Region.around((0, 0, 60, 100), eyes[0], eyes[1], 1.5)
    assert region == Region(30, 50, 150, 0.0)
    corners = region.to_picture(np.array([[0, 0], [1, 1]], np.float32))
    np.testing.assert_allclose(corners, [[-45, -25], [105, 125]])


def test_a_region_is_turned_as_the_eyes_are() -> None:
    turned = Region.around((0, 0, 10, 10), np.zeros(2, np.float32), np.ones(2, np.float32), 1.0)
    assert turned.angle == pytest.approx(math.pi / 4)
    np.testing.assert_allclose(turned.to_picture(np.array([[1, 0.5]], np.float32)), [[5 + 12.5**0.5, 5 + 12.5**0.5]])


def test_outside_the_picture_it_is_black_or_its_edge_goes_on() -> None:
    white = Picture.from_rgb(np.full((100, 100, 3), 250, np.uint8))
    region = Region(0, 50, 100)
    black, edge = (sample_rgb(white, region, PIXELS, 2.0, black_outside=outside) for outside in (True, False))
    assert black[:, : PIXELS // 2 - 1].max() == 0
    assert black[:, PIXELS // 2 + 1 :].min() > 240
    assert edge.min() > 240
    assert sample_rgb(white, Region(-500, 900, 100), PIXELS, 2.0).min() > 240


@pytest.mark.parametrize(
    ("other", "wanted"),
    [(Region(0, 0, 2), 1.0), (Region(1, 0, 2), 1 / 3), (Region(0, 0, 1), 0.25), (Region(5, 0, 2), 0.0)],
)
def test_overlap_is_intersection_over_union(other: Region, wanted: float) -> None:
    assert Region(0, 0, 2).overlap(other) == pytest.approx(wanted)
    assert other.overlap(Region(0, 0, 2)) == pytest.approx(wanted)
