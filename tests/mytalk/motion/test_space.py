"""Rest shape and range of one person, from the faces seen so far."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mytalk import Pipeline
from mytalk.face.landmarks import LOWER_FACE, TEMPLATE, aperture
from mytalk.motion.space import MotionSpace, RestShape
from mytalk.torch_backend import load_motion

CLOSED = TEMPLATE[list(LOWER_FACE)]


@pytest.fixture(scope="module")
def space(pipeline: Pipeline) -> MotionSpace:
    return pipeline.motion.space


def seen(space: MotionSpace, gaps: list[float]) -> RestShape:
    rest = RestShape(space)
    for gap in gaps:
        rest.observe(space.opened(space.closed(CLOSED), gap))
    return rest


def test_rest_is_closed_even_when_only_an_open_mouth_was_seen(space: MotionSpace) -> None:
    assert float(aperture(seen(space, [0.2]).estimate())) == pytest.approx(0, abs=1e-4)


def test_a_still_picture_and_a_listener_say_nothing_of_the_range(space: MotionSpace) -> None:
    assert seen(space, [0.1] * 200).openness() == 1
    assert seen(space, list(np.abs(np.sin(np.arange(200))) * 0.02)).openness() == 1


def test_a_mouth_that_opens_far_has_a_wide_range(space: MotionSpace) -> None:
    wave = np.abs(np.sin(np.arange(200) / 3))
    narrow, wide = (seen(space, list(wave * top)).openness() for top in (0.12, 0.4))
    assert narrow < 1 < wide


def test_memory_is_bounded_however_long_the_session(space: MotionSpace) -> None:
    rest = seen(space, [0.1] * 3000)
    assert rest._shapes is not None
    assert len(rest._shapes) <= rest.capacity


def test_coefficients_and_landmarks_go_there_and_back(space: MotionSpace) -> None:
    motion = np.random.default_rng(0).standard_normal((5, len(space.scale)), np.float32)
    np.testing.assert_allclose(space.encode(space.decode(motion)), motion, rtol=1e-3, atol=1e-3)


def test_space_as_tensors_is_the_space_as_arrays() -> None:
    module = load_motion("edge").space
    space, motion = module.arrays(), torch.randn(5, len(module.scale))
    torch.testing.assert_close(torch.from_numpy(space.decode(motion.numpy())), module.decode(motion))
    shape = module.decode(motion)[0].numpy()
    torch.testing.assert_close(torch.from_numpy(space.encode(shape)), module.encode(torch.from_numpy(shape)))
    np.testing.assert_array_equal(space.opened(shape, 0.1), module.opened(shape, 0.1))
