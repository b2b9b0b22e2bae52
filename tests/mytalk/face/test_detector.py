"""The detector finds each face once, wherever the picture is turned, and no more faces than it is asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mytalk.face import Face
from mytalk.face.detector import _merged, detect_faces
from mytalk.face.mesh import fit_mesh, region_of
from mytalk.face.region import Region
from mytalk.picture import Picture

WHOLE = Region(256, 256, 512)


def boxes_at(*middles: float, side: float = 0.2) -> np.ndarray:
    """Square boxes on the diagonal, ``(n, 8, 2)``; their six points lie in the middle."""
    boxes = np.repeat(np.array(middles, np.float32)[:, None, None], 8, axis=1).repeat(2, axis=2)
    boxes[:, 1] = side
    return boxes


def test_the_portrait_s_face_is_found_once(portrait: Picture, portrait_face: Face) -> None:
    (found,) = detect_faces(portrait, WHOLE, 4)
    tracked = region_of(portrait_face)
    assert found.overlap(tracked) > 0.7
    assert found.angle == pytest.approx(tracked.angle, abs=0.1)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_picture_s_face_is_found_where_it_is(portrait: Picture, portrait_face: Face, quarters: int) -> None:
    turned = Picture(
        *(np.ascontiguousarray(np.rot90(plane, quarters)) for plane in (portrait.y, portrait.u, portrait.v))
    )
    (found,) = detect_faces(turned, Region(256, 256, 512, -quarters * math.pi / 2), 4)
    face = fit_mesh(turned, found)
    assert face is not None
    x, y = portrait_face.points[4, :2]  # the nose's tip
    wanted = {1: (y, 511 - x), 2: (511 - x, 511 - y), 3: (511 - y, x)}[quarters]
    np.testing.assert_allclose(face.points[4, :2], wanted, atol=2)


def test_a_picture_without_a_face_has_none() -> None:
    grey = Picture.from_rgb(np.full((200, 320, 3), 120, np.uint8))
    assert detect_faces(grey, Region(160, 100, 320), 4) == []
    assert fit_mesh(grey, Region(160, 100, 150)) is None


def test_two_faces_are_two_and_one_where_one_is_asked_for(portrait: Picture) -> None:
    head = portrait.rgb()[0:280, 84:364]
    both = Picture.from_rgb(np.hstack([head, head[:, ::-1]]))
    whole = Region(280, 140, 560)
    assert sorted(round(region.x / 280 - 0.5) for region in detect_faces(both, whole, 4)) == [0, 1]
    assert len(detect_faces(both, whole, 1)) == 1


def test_boxes_of_one_face_become_their_mean_weighted_by_score() -> None:
    scores = np.array([0.6, 0.9, 0.7, 0.4], np.float32)
    found = list(_merged(boxes_at(0.52, 0.50, 0.9, 0.1), scores, 4))
    assert len(found) == 2  # the last one's score is too low
    np.testing.assert_allclose(found[0][0], (0.6 * 0.52 + 0.9 * 0.50) / 1.5, rtol=1e-5)
    np.testing.assert_allclose(found[0][1], 0.2, rtol=1e-5)
    np.testing.assert_allclose(found[1][0], 0.9, rtol=1e-5)


def test_boxes_without_a_size_end() -> None:
    assert len(list(_merged(boxes_at(0.5, 0.5, side=0.0), np.ones(2, np.float32), 4))) == 2
    assert list(_merged(boxes_at(0.5, side=-0.1), np.ones(1, np.float32), 4)) == []
