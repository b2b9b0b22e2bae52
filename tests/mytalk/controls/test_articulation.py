"""Tests how readable lips are: closures, extremes and rounding, from a mumble to full articulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mytalk.controls import Controls
from mytalk.controls.action_units import unit_field
from mytalk.controls.mouth import Mouth
from mytalk.controls.stages import shaped
from mytalk.face.landmarks import aperture
from tests.mytalk.controls.mouths import REST, mouth_of, spoken, width


def gap(mouth: Mouth, articulation: float) -> float:
    return float(aperture(shaped(mouth, Controls(articulation=articulation))))


def test_full_articulation_completes_closures_and_opens_wider() -> None:
    assert gap(mouth_of(0.015), 1) == pytest.approx(0, abs=1e-5)
    assert gap(mouth_of(0.03), 1) < 0.015
    assert gap(mouth_of(0.3), 1) > 0.35


def test_rounded_lips_become_rounder_and_a_mumbling_mouth_less_round() -> None:
    mouth = mouth_of(0.1)
    rounded = replace(mouth, lower=mouth.lower + np.float32(0.5) * unit_field(18))
    mumbled, usual, clear = (width(shaped(rounded, Controls(articulation=how))) for how in (0, 0.5, 1))
    assert clear < usual - 0.05
    assert usual + 0.05 < mumbled < width(REST)


def test_a_mumble_moves_little_and_rests_in_silence() -> None:
    mouths = spoken()
    spread = {how: np.std([gap(mouth, how) for mouth in mouths]) for how in (0, 0.5, 1)}
    assert spread[0] < 0.5 * spread[0.5] < spread[0.5] < spread[1]
    assert gap(mouth_of(0, voice=0.0), 0) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("how", [0.0, 0.25, 0.75, 1.0])
def test_more_stays_more(how: float) -> None:
    gaps = [gap(mouth_of(opening), how) for opening in np.linspace(0, 0.4, 81)]
    assert (np.diff(gaps) >= -1e-6).all()
