"""The table over sampling steps says what it is said to say."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.models.steps import Film, Motion, score
from mytalk.face.landmarks import LIPS

FRAMES = 120


def lips_of(gap: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lips whose lower half drops by ``gap`` a frame."""
    lips = np.zeros((len(gap), len(LIPS), 2), np.float32)
    lips[:, : len(LIPS) // 2, 1] = gap[:, None]
    return lips


def test_a_louder_mouth_and_another_noise_show_in_their_columns() -> None:
    gap = (0.1 + 0.1 * np.sin(np.arange(FRAMES) / 4)).astype(np.float32)
    film = Film("made", [], np.zeros(FRAMES * 640, np.float32), lips_of(gap), gap)
    same = Motion(film.lips, gap, film.lips, gap)
    half = Motion(film.lips, gap, lips_of(gap / 2), gap / 2)
    row = score(film, [same, half], [same, same], hop=3)
    assert row.error == 0
    assert row.correlation == pytest.approx(1)
    assert row.range_ratio == pytest.approx(1)
    assert row.raw_range_ratio == pytest.approx(0.75)
    assert row.noise_spread == pytest.approx(gap.mean() / 4, rel=1e-4)
    assert row.to_reference == pytest.approx(gap.mean() / 8, rel=1e-4)
    assert row.seam < row.seam_chance
    assert film.still_error == pytest.approx(np.abs(gap - gap.mean()).mean() / 2, rel=1e-4)


def test_a_jump_where_windows_meet_is_a_seam() -> None:
    gap = (0.1 + 0.01 * np.sin(np.arange(FRAMES) / 9)).astype(np.float32)
    jumps = gap + 0.05 * (np.arange(FRAMES) // 20 % 2).astype(np.float32)
    film = Film("made", [], np.zeros(FRAMES * 640, np.float32), lips_of(gap), gap)
    motion = Motion(lips_of(jumps), jumps, lips_of(jumps), jumps)
    assert score(film, [motion], [motion], hop=20).seam > 2
    assert np.isnan(score(film, [motion], [motion], hop=20).noise_spread)
