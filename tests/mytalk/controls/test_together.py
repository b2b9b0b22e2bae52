"""Tests each control of the mouth with two others: all of them show, lips do not cross, and nothing jumps."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from mytalk.controls import Controls
from mytalk.controls.pins import decode_pins
from mytalk.controls.stages import shaped
from mytalk.face.landmarks import aperture
from tests.mytalk.controls.mouths import mouth_of, spoken

VALUES: dict[str, dict[str, Any]] = {
    "mouth_opening": {"mouth_opening": 1.6},
    "motion_scale": {"motion_scale": 0.6},
    "lip_weight": {"lip_weight": 1.5},
    "expression_weight": {"expression_weight": 0.3},
    "articulation": {"articulation": 0.9},
    "emotion": {"emotion": "sad", "intensity": 0.9},
    "key_motions": {"key_motions": decode_pins("1:smile:0.2")},
}


@pytest.mark.parametrize("names", list(combinations(VALUES, 3)), ids="-".join)
def test_three_at_once_each_show_and_keep_lips_apart(names: tuple[str, str, str]) -> None:
    together = {key: value for name in names for key, value in VALUES[name].items()}
    mouths = spoken(60)
    shapes = np.stack([shaped(mouth, Controls(**together)) for mouth in mouths])
    assert np.isfinite(shapes).all()
    assert aperture(shapes).min() > -1e-5
    for name in names:
        others = {key: value for key, value in together.items() if key not in VALUES[name]}
        without = np.stack([shaped(mouth, Controls(**others)) for mouth in mouths])
        assert np.abs(shapes - without).max() > 5e-3, name


def test_at_rest_lips_stay_closed() -> None:
    quiet = mouth_of(0.0, voice=0.0)
    for values in VALUES.values():
        assert float(aperture(shaped(quiet, Controls(**values)))) < 1e-4
