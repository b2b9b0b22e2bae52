"""DDIM against its closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mytalk.motion.sampler import DDIM, TIMESTEPS, alpha_bars, frame_noise


@pytest.mark.parametrize("steps", [1, 2, 4, 50])
def test_timesteps_trail_from_t_max(steps: int) -> None:
    sampler = DDIM(steps)
    assert len(sampler.timesteps) == steps
    assert sampler.timesteps[0] == TIMESTEPS
    assert sampler.alpha_bar[0] == 0
    assert sampler.alpha_bar[-1] == 1


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_a_true_x0_is_reached_exactly(steps: int) -> None:
    sampler, x0, x = DDIM(steps), torch.randn(2, 5, 4), torch.randn(2, 5, 4)
    for index in range(steps):
        x = sampler.step(x0, index, x)
    assert_close(x, x0)


def test_a_step_keeps_the_noise() -> None:
    sampler, x0, noise = DDIM(4), torch.randn(3, 4), torch.randn(3, 4)
    a, a_next = sampler.alpha_bar[1], sampler.alpha_bar[2]
    x = a**0.5 * x0 + (1 - a) ** 0.5 * noise
    assert_close(sampler.step(x0, 1, x), a_next**0.5 * x0 + (1 - a_next) ** 0.5 * noise)


def test_the_schedule_falls_from_one_to_nothing() -> None:
    table = alpha_bars()
    assert table[0] == 1
    assert table[-1] == 0
    assert (np.diff(table) < 0).all()


@pytest.mark.parametrize("steps", [0, 51])
def test_a_silly_number_of_steps_is_refused(steps: int) -> None:
    with pytest.raises(ValueError, match="1 to 50"):
        DDIM(steps)


def test_noise_belongs_to_the_absolute_frame() -> None:
    whole = frame_noise(100, 50, 24, seed=5)
    np.testing.assert_array_equal(whole[20:30], frame_noise(120, 10, 24, seed=5))
    assert not np.array_equal(whole[:10], frame_noise(100, 10, 24, seed=6))
    assert abs(frame_noise(0, 2000, 24, seed=1).std() - 1) < 0.02
