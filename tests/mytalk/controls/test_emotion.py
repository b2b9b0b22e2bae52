"""Tests expressions that are added to speech: mouths move as labelled, and lips keep what the speech asks of them."""

from __future__ import annotations

import numpy as np
import pytest

from mytalk.controls import Controls
from mytalk.controls.action_units import MAX_STRENGTH, UNITS, fitted_units, unit_field
from mytalk.controls.emotion import UNITS_OF, UPPER_UNITS, upper_strengths
from mytalk.controls.stages import shaped
from mytalk.controls.values import EMOTIONS
from mytalk.errors import OptionError
from mytalk.face.landmarks import LOWER_MIRROR, aperture
from tests.mytalk.controls.mouths import REST, corner_height, mouth_of, spoken, width

CLOSED = 0.03


def felt(emotion: str, gap: float = 0.1, intensity: float = 1.0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return shaped(mouth_of(gap), Controls(emotion=emotion, intensity=intensity))


def test_every_label_has_units_and_every_label_but_neutral_moves_the_mouth() -> None:
    assert tuple(UNITS_OF) == EMOTIONS
    for label in EMOTIONS:
        assert (np.abs(felt(label) - mouth_of(0.1).lower).max() > 0.02) == (label != "neutral")


def test_corners_and_width_move_as_labelled() -> None:
    neutral = felt("neutral")
    assert corner_height(felt("happy")) > corner_height(neutral) + 0.02
    assert corner_height(felt("sad")) < corner_height(neutral) - 0.02
    assert width(felt("happy")) > width(neutral) + 0.1
    assert width(felt("afraid")) > width(neutral) + 0.1
    assert width(felt("angry")) < width(neutral) - 0.05
    assert float(aperture(felt("surprised", 0.2))) > 0.24


@pytest.mark.parametrize("emotion", EMOTIONS)
@pytest.mark.parametrize("intensity", [0.5, 1.5])
def test_lip_sync_is_kept_and_closures_stay_closed(emotion: str, intensity: float) -> None:
    mouths = spoken()
    before = aperture(np.stack([mouth.lower for mouth in mouths]))
    after = aperture(np.stack([shaped(one, Controls(emotion=emotion, intensity=intensity)) for one in mouths]))
    assert np.corrcoef(before, after)[0, 1] > 0.97
    assert (after[before < CLOSED] < CLOSED).all()
    assert after.min() > -1e-5


def test_intensity_is_a_strength_and_nought_changes_no_bit() -> None:
    mouth = mouth_of(0.1)
    assert shaped(mouth, Controls(emotion="happy", intensity=0.0)) is mouth.lower
    half, whole = (felt("happy", intensity=share) - mouth.lower for share in (0.5, 1.0))
    np.testing.assert_allclose(2 * half, whole, atol=2e-3)


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_symmetric_and_does_not_part_the_lips(unit: int) -> None:
    field = unit_field(unit)
    np.testing.assert_allclose(field[list(LOWER_MIRROR)] * np.array([-1, 1, 1]), field, atol=2e-3)
    assert abs(float(aperture(field))) < 2e-3


@pytest.mark.parametrize(("units", "text"), [({12: 0.8}, "12=0.8"), ({15: 1.0, 20: 0.5}, "15=1,20=0.5")])
def test_units_are_found_again_in_the_mouth_that_they_made(units: dict[int, float], text: str) -> None:
    found = fitted_units(felt(text, gap=0.0), REST)
    assert set(units) <= set(found)
    for unit, strength in units.items():
        assert found[unit] == pytest.approx(strength, abs=0.2)


def test_upper_units_are_those_of_the_label() -> None:
    strengths = dict(zip(UPPER_UNITS, upper_strengths(Controls(emotion="surprised", intensity=0.5)), strict=True))
    assert (strengths[1], strengths[2], strengths[4]) == (0.5, 0.5, 0.0)


@pytest.mark.parametrize("text", ["joyful", "12", "12=x", "99=1", f"12={MAX_STRENGTH + 0.1}", "12=nan", ""])
def test_what_is_no_expression_is_refused_with_what_would_be(text: str) -> None:
    with pytest.raises(OptionError, match="neutral, happy"):
        Controls(emotion=text)
