"""Seam ratio on curves whose seams are known."""

from __future__ import annotations

import numpy as np
import pytest

from mytalk.evaluation.seams import jerk, seam_score


def smooth(frames: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Lips ``(T, 40, 2)`` that move like slow noise."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(0, 0.02, (frames + 20, 40, 2))
    kernel = np.hanning(12) / np.hanning(12).sum()
    return np.apply_along_axis(lambda one: np.convolve(one, kernel, "valid"), 0, steps)[:frames]


def test_jerk_is_the_third_difference_of_the_step_into_a_frame() -> None:
    cubic = np.arange(10.0) ** 3
    sizes = jerk(cubic)
    assert np.isnan(sizes[[0, 1, -1]]).all()
    np.testing.assert_allclose(sizes[2:-1], 6)


@pytest.mark.parametrize("window", [3, 6, 25])
def test_borders_that_nothing_marks_read_one(window: int) -> None:
    score = seam_score(smooth(2000), range(window, 2000, window))
    assert score.ratio == pytest.approx(1, abs=0.06)
    assert score.chance[0] <= 1 <= score.chance[1]
    assert not score.visible


@pytest.mark.parametrize("window", [3, 6, 25])
def test_a_jump_at_each_border_is_seen(window: int) -> None:
    curve = smooth(600)
    jumps = np.random.default_rng(1).choice([-0.05, 0.05], 600 // window)
    for number, border in enumerate(range(window, 600, window)):
        curve[border:] += jumps[number]
    score = seam_score(curve, range(window, 600, window))
    assert score.visible
    assert score.ratio > (1.5 if window < 4 else 10)


def test_a_lone_jump_in_a_smooth_curve_reads_two_where_windows_are_too_short_for_an_inside() -> None:
    curve = np.zeros(300)
    for border in range(9, 300, 9):
        curve[border:] += 1.0
    assert seam_score(curve, range(9, 300, 9)).ratio == float("inf")
    close = np.cumsum(np.arange(300) % 3 == 0).astype(float)
    assert seam_score(close, range(3, 300, 3)).ratio == pytest.approx(2)


def test_jumps_elsewhere_do_not_count_as_seams() -> None:
    curve = smooth(600)
    for place in range(5, 600, 10):
        curve[place:] += 0.05
    assert seam_score(curve, range(10, 600, 10)).ratio < 0.5


def test_a_motionless_mouth_has_no_seams() -> None:
    score = seam_score(np.ones((100, 40, 2)), range(6, 100, 6))
    assert score.ratio == 1
    assert score.median_ratio == 1


def test_unknown_frames_and_borders_outside_do_not_count() -> None:
    curve = smooth(300)
    curve[100:110] = np.nan
    score = seam_score(curve, [0, -5, 999, *range(6, 300, 6)])
    assert score.borders == len([b for b in range(6, 297, 6) if not 98 <= b < 112])
    assert np.isfinite(score.ratio)


def test_too_few_borders_give_no_ratio() -> None:
    assert np.isnan(seam_score(smooth(50), [10, 20]).ratio)
