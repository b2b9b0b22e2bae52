"""Tests the strength of motion: of lips, of the face around them, and of all of it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.controls import Controls
from mytalk.controls.mouth import Mouth
from mytalk.controls.stages import shaped
from mytalk.face.landmarks import LOWER_FACE, LOWER_LIPS_INNER, aperture
from tests.mytalk.controls.mouths import mouth_of

CHIN = LOWER_FACE.index(152)


@pytest.fixture
def mouth() -> Mouth:
    return mouth_of(0.2)


def moved(mouth: Mouth, controls: Controls) -> NDArray[np.float32]:
    return np.asarray(np.abs(shaped(mouth, controls) - mouth.rest).max(axis=1))


def test_at_their_defaults_controls_change_no_bit(mouth: Mouth) -> None:
    assert shaped(mouth, Controls()) is mouth.lower


@pytest.mark.parametrize("scale", [0.0, 0.5, 2.0])
def test_motion_scale_multiplies_all_motion(mouth: Mouth, scale: float) -> None:
    expected = mouth.rest + scale * (mouth.lower - mouth.rest)
    np.testing.assert_allclose(shaped(mouth, Controls(motion_scale=scale)), expected, atol=1e-6)


def test_lips_and_the_face_around_them_are_apart(mouth: Mouth) -> None:
    lips, whole = list(LOWER_LIPS_INNER), moved(mouth, Controls())
    still_lips = moved(mouth, Controls(lip_weight=0))
    assert still_lips[lips].max() < 1e-6
    assert still_lips[CHIN] == pytest.approx(whole[CHIN], rel=0.1)
    still_face = moved(mouth, Controls(expression_weight=0))
    np.testing.assert_allclose(still_face[lips], whole[lips], rtol=1e-5)
    assert still_face[CHIN] < 0.1 * whole[CHIN]


def test_mouth_opening_multiplies_the_aperture(mouth: Mouth) -> None:
    gap = float(aperture(mouth.lower))
    for amount in (0.0, 0.5, 2.0):
        assert float(aperture(shaped(mouth, Controls(mouth_opening=amount)))) == pytest.approx(amount * gap, abs=1e-5)
