"""A person's way of holding the mouth is taken from the film slowly; how far it is open is not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Pipeline
from mytalk.face.landmarks import LOWER_FACE, TEMPLATE, aperture
from mytalk.motion.person import MANNER_MEMORY, Person
from mytalk.motion.space import MotionSpace, RestShape

Shape = NDArray[np.float32]
FRAMES = 2 * MANNER_MEMORY


@pytest.fixture(scope="module")
def space(pipeline: Pipeline) -> MotionSpace:
    return pipeline.motion.space


@pytest.fixture
def smile(space: MotionSpace) -> Shape:
    """All of the lower face a little wider and higher."""
    shape: Shape = np.zeros((len(LOWER_FACE), 3), np.float32)
    lower = TEMPLATE[list(LOWER_FACE)]
    shape[:, 0], shape[:, 1] = 0.05 * lower[:, 0], -0.02
    return shape


def talk(space: MotionSpace, seed: int) -> list[Shape]:
    gaps = np.abs(np.random.default_rng(seed).normal(0, 0.08, FRAMES))
    rest = space.closed(TEMPLATE[list(LOWER_FACE)])
    return [space.opened(rest, float(gap)) for gap in gaps]


def with_manner(space: MotionSpace, filmed: list[Shape], generated: list[Shape]) -> list[Shape]:
    person, points = Person(RestShape(space)), TEMPLATE.copy()
    out = []
    for seen, wanted in zip(filmed, generated, strict=True):
        points[list(LOWER_FACE)] = seen
        person.observe(points)
        out.append(person.with_manner(wanted, space))
    return out


def test_a_smile_of_the_film_is_kept_and_the_speech_says_how_far_the_mouth_is_open(
    space: MotionSpace, smile: Shape
) -> None:
    generated = talk(space, 1)
    conditions = with_manner(space, [shape + smile for shape in talk(space, 2)], generated)
    wanted = smile - smile.mean(axis=0)
    moved = conditions[-1] - generated[-1]
    assert float((moved * smile).sum() / (smile**2).sum()) > 0.6
    assert np.abs(wanted).max() > 0.01
    assert np.allclose([aperture(shape) for shape in conditions], [aperture(shape) for shape in generated], atol=1e-5)


def test_a_mouth_that_does_not_move_in_the_film_moves_as_it_is_made(space: MotionSpace, smile: Shape) -> None:
    """A picture, or somebody who listens: where their mouth stands is where it rests."""
    generated = talk(space, 1)
    still = space.closed(TEMPLATE[list(LOWER_FACE)]) + smile
    np.testing.assert_array_equal(with_manner(space, [still] * FRAMES, generated), generated)


def test_a_person_s_shape_comes_slowly(space: MotionSpace, smile: Shape) -> None:
    generated = talk(space, 1)
    shown = with_manner(space, [shape + smile for shape in talk(space, 2)], generated)
    shift = np.array([shown[i] - generated[i] for i in range(FRAMES)])
    steps = np.abs(np.diff(shift, axis=0)).max(axis=(1, 2))
    assert float(steps[1:].max()) < 0.2 * float(np.abs(smile).max())


def test_a_person_s_shape_stays_out_of_a_mouth_at_rest(space: MotionSpace, smile: Shape) -> None:
    person, generated = Person(RestShape(space)), talk(space, 1)
    for seen, wanted in zip(talk(space, 2), generated, strict=True):
        points = TEMPLATE.copy()
        points[list(LOWER_FACE)] = seen + smile
        person.observe(points)
        person.with_manner(wanted, space)
    np.testing.assert_array_equal(person.with_manner(generated[0], space, 0.0), generated[0])
