"""Promises of the mesh warp and of the masks."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.appearance.mask import mouth_mask, moving_mask
from mytalk.appearance.mesh import COARSE
from mytalk.appearance.placement import apply_affine
from mytalk.appearance.raster import landmark_picture
from mytalk.appearance.warp import GRID, MAX_STRETCH, Flow, cavity_of, fit_lips, flow_from, shade_of, target_of
from mytalk.face import Face, fit_pose
from mytalk.face.landmarks import INNER_LOWER, INNER_UPPER, LOWER_FACE, LOWER_LIPS_INNER

Points = NDArray[np.float32]


def flow_of(wanted: Points, source: Points, step: int = 1) -> Flow:
    return flow_from(target_of(wanted), source, fit_lips(source, wanted).anchored, step)


def cavity_between(wanted: Points, source: Points) -> NDArray[np.float32]:
    """The inside that the source does not show; nothing where it shows all."""
    return cavity_of(wanted, fit_lips(source, wanted).visible)


@pytest.fixture(scope="module")
def smile(portrait_face: Face) -> Points:
    """The astronaut's lower face in crop pixels."""
    return apply_affine(fit_pose(portrait_face).crop_matrix(), portrait_face.points[list(LOWER_FACE), :2])


def opened(points: Points, by: float) -> Points:
    """The lower inner lip moved down by so many pixels."""
    moved = points.copy()
    moved[list(LOWER_LIPS_INNER[1:10]), 1] += by
    return moved


def closed(points: Points) -> Points:
    """Upper and lower inner lip on one line."""
    shut = points.copy()
    shut[list(LOWER_LIPS_INNER[1:10])] = shut[list(LOWER_LIPS_INNER[:10:-1])]
    return shut


def test_warp_to_its_own_landmarks_moves_nothing(smile: Points) -> None:
    assert np.abs(flow_of(smile, smile) - GRID).max() < 1e-2
    assert not cavity_between(smile, smile).size


def test_rim_of_the_crop_never_moves(smile: Points) -> None:
    flow = flow_of(opened(smile, 12) + np.float32(3), smile)
    for edge in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        assert np.abs(flow[edge] - GRID[edge]).max() < 0.3


def test_coarse_flows_are_those_of_each_source_at_half_the_resolution(smile: Points) -> None:
    wanted = opened(smile, 5)
    for source in (smile, opened(smile, 9), closed(smile), smile + np.float32(2)):
        one = flow_of(wanted, source, 2)
        assert one.shape == (COARSE, COARSE, 2)
        fine = flow_of(wanted, source).reshape(COARSE, 2, COARSE, 2, 2).mean(axis=(1, 3))  # pixels of 2 x 2
        apart = np.linalg.norm(2 * one + 0.5 - fine, axis=-1)
        # Only where triangles meet, at the lips' edges, do the 4 pixels come from places far apart.
        assert np.quantile(apart, 0.97) < 0.5


def test_warp_takes_each_landmark_where_it_was(smile: Points) -> None:
    wanted = opened(smile, 5)
    flow = flow_of(wanted, smile)
    for row in (*LOWER_LIPS_INNER[12:19], LOWER_FACE.index(17), LOWER_FACE.index(199)):
        x, y = np.rint(wanted[row]).astype(int)
        # Half a pixel of rounding, stretched by the warp.
        assert np.linalg.norm(flow[y, x] - smile[row]) < 2.0


def test_closed_mouth_opens_into_the_dark_and_not_into_smeared_lips(smile: Points) -> None:
    shut = closed(smile)
    cavity = cavity_between(opened(shut, 14), shut)
    x, y = opened(shut, 7)[LOWER_FACE.index(14)].astype(int)
    assert cavity[y, x] > 0.95
    assert np.isfinite(flow_of(opened(shut, 14), shut)).all()


def test_open_mouth_closes_without_a_trace_of_its_inside(smile: Points) -> None:
    assert np.isfinite(flow_of(closed(smile), smile)).all()
    assert not cavity_between(closed(smile), smile).size


def test_teeth_hang_on_the_upper_lip_when_the_mouth_opens_wider(smile: Points) -> None:
    wanted = opened(smile, 20)
    cavity = cavity_between(wanted, smile)
    upper, lower = wanted[INNER_UPPER[2]], wanted[INNER_LOWER[2]]
    near_teeth, near_lip = upper * 0.85 + lower * 0.15, upper * 0.1 + lower * 0.9
    assert cavity[int(near_teeth[1]), int(near_teeth[0])] < 0.1
    assert cavity[int(near_lip[1]), int(near_lip[0])] > 0.9


def test_landmarks_outside_the_crop_do_not_tear_it(smile: Points) -> None:
    flow = flow_of(smile * np.float32(1.6) - np.float32(30), smile)
    assert np.isfinite(flow).all()
    assert flow.min() > -40
    assert flow.max() < 168


def test_mouth_mask_covers_the_lips_and_ends_before_the_rim(smile: Points) -> None:
    mask = mouth_mask(smile)
    rows = np.rint(smile[:40]).astype(int)
    assert mask[rows[:, 1], rows[:, 0]].min() > 0.9
    assert not mask[[0, -1]].any()
    assert not mask[:, [0, -1]].any()


def test_moving_mask_is_zero_at_the_rim(smile: Points) -> None:
    reach = moving_mask(smile, opened(smile, 10))
    assert reach.max() == 1
    assert not reach[[0, -1]].any()
    assert not reach[:, [0, -1]].any()


def test_a_closed_mouth_is_still_drawn(smile: Points) -> None:
    drawn = landmark_picture(closed(smile))
    assert drawn.shape == (128, 128, 3)
    assert (drawn[..., 1] > 127).sum() > 20
    assert landmark_picture(smile, 256).shape == (256, 256, 3)


def test_a_shut_mouth_keeps_what_its_source_showed_in_the_dark(smile: Points) -> None:
    almost = opened(closed(smile), 1)
    shade = shade_of(almost, fit_lips(smile, almost).covered)
    x, y = np.rint(almost[LOWER_FACE.index(13)]).astype(int)
    assert shade[y : y + 2, x].max() > 0.3
    assert not shade_of(smile, fit_lips(smile, smile).covered).size


def test_a_gap_little_wider_than_the_source_can_fill_is_not_lined_with_dark(smile: Points) -> None:
    source = opened(smile, 8)
    lower, upper = list(LOWER_LIPS_INNER[1:10]), list(LOWER_LIPS_INNER[:10:-1])

    def cavity(stretch: float) -> NDArray[np.float32]:
        wanted = source.copy()
        wanted[lower] = source[upper] + np.float32(stretch) * (source[lower] - source[upper])
        return cavity_between(wanted, source)

    thin, deep = cavity(MAX_STRETCH + 0.04), cavity(MAX_STRETCH + 0.6)
    assert thin.max(initial=0) < 0.4
    assert deep.max() > 0.9
