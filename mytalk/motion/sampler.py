"""Samples by DDIM: a table and one pure function."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TIMESTEPS = 1000


def alpha_bars(timesteps: int = TIMESTEPS) -> Tensor:
    """Returns the cosine schedule ``(timesteps + 1,)``: 1 at t = 0, exactly 0 at t = T. Nichol and Dhariwal 2021,
    eq. 17; zero at the end as in Lin et al. 2024, so that sampling starts where training has been."""
    t = torch.linspace(0, 1, timesteps + 1, dtype=torch.float64)
    curve = torch.cos((t + 0.008) / 1.008 * math.pi / 2).square()
    curve = curve / curve[0]
    curve[-1] = 0.0
    return curve.float()


class DDIM:
    """Steps deterministic DDIM (eta = 0) for a model that predicts x0. Song et al. 2021, eq. 12.

    Trailing timesteps: ``steps`` of them, evenly spaced, t = T among them.
    """

    def __init__(self, steps: int) -> None:
        if not 1 <= steps <= 50:
            raise ValueError(f"steps must be 1 to 50: got {steps}")
        self.steps = steps
        table = torch.round(torch.arange(steps, -1, -1) * (TIMESTEPS / steps)).long()
        self.timesteps = table[:-1]  # (steps,), from T down
        self.alpha_bar = alpha_bars()[table]  # (steps + 1,), 0 up to 1

    def step(self, x0: Tensor, index: int, x: Tensor) -> Tensor:
        """Steps from the sample at ``timesteps[index]`` and the model's x0 to the sample at the next timestep."""
        return ddim_step(x0, x, self.alpha_bar[index], self.alpha_bar[index + 1])


def ddim_step(x0: Tensor, x: Tensor, a: Tensor, a_next: Tensor) -> Tensor:
    """Steps from the sample where alpha bar is ``a``, below 1, and the model's x0 to the sample where it is
    ``a_next``."""
    noise = (x - a.sqrt() * x0) / (1 - a).sqrt()
    return a_next.sqrt() * x0 + (1 - a_next).sqrt() * noise


def frame_noise(first: int, rows: int, width: int, seed: int) -> NDArray[np.float32]:
    """Draws noise ``(rows, width)`` of frames ``first...``: a function of the seed and the absolute frame number
    alone."""
    return np.stack(
        [
            np.random.Generator(np.random.Philox(key=seed, counter=frame)).standard_normal(width, np.float32)
            for frame in range(first, first + rows)
        ]
    )
