"""Lips meet where a readout is sure of p, b or m, and stay as they are where it is not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Pipeline
from mytalk.face import Face, fit_pose
from mytalk.face.landmarks import LOWER_FACE, aperture
from mytalk.motion.closure import CLOSED_FROM, CLOSING_FROM, close_lips
from mytalk.motion.space import Opening


@pytest.fixture(scope="module")
def space(pipeline: Pipeline) -> Opening:
    return pipeline.motion.space


@pytest.fixture(scope="module")
def spoken(space: Opening, portrait_face: Face) -> NDArray[np.float32]:
    """A mouth in the middle of a vowel."""
    rest = fit_pose(portrait_face).to_canonical(portrait_face.points)[list(LOWER_FACE)]
    return np.asarray(space.opened(rest, 0.1 - float(aperture(rest))), np.float32)


def test_surely_a_bilabial_closes_the_lips(space: Opening, spoken: NDArray[np.float32]) -> None:
    assert aperture(spoken) == pytest.approx(0.1, abs=1e-3)
    assert aperture(close_lips(spoken, CLOSED_FROM, space)) == pytest.approx(0, abs=1e-3)
    assert aperture(close_lips(spoken, 2.0, space)) == pytest.approx(0, abs=1e-3)


def test_perhaps_a_bilabial_brings_them_nearer(space: Opening, spoken: NDArray[np.float32]) -> None:
    half = close_lips(spoken, (CLOSING_FROM + CLOSED_FROM) / 2, space)
    assert aperture(half) == pytest.approx(0.05, abs=1e-3)


@pytest.mark.parametrize("closure", [-0.3, 0.0, CLOSING_FROM])
def test_no_bilabial_changes_nothing(space: Opening, spoken: NDArray[np.float32], closure: float) -> None:
    assert close_lips(spoken, closure, space) is spoken
