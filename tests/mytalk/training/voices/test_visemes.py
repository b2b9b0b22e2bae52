"""Visemes close and open as asked, and controls measure what they ask for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mytalk.face.landmarks import LOWER_FACE, TEMPLATE
from mytalk.training.voices.visemes import controls_of, speak


def test_visemes_close_for_m_and_open_for_a() -> None:
    classes = [("silence", 0.3), ("a", 0.6), ("bilabial", 0.72), ("a", 1.0), ("silence", 1.4)]
    controls = speak(classes, 1.4, np.random.default_rng(0))
    gap: NDArray[np.float32] = controls[:, 0]
    assert gap[11] > 0.1
    assert gap[16] < 0.35 * gap[11]
    assert gap[0] < 0.03
    assert gap[-1] < 0.03


def test_controls_measure_what_visemes_ask_for() -> None:
    rest = TEMPLATE[list(LOWER_FACE)]
    wide = rest * np.array([1.1, 1, 1], np.float32)
    assert controls_of(wide[None], rest)[0, 1] > 0.05
    np.testing.assert_allclose(controls_of(rest[None], rest), 0, atol=1e-6)
