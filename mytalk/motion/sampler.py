"""Samples by DDIM: a table and one pure function."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = TypeVar("Array")

TIMESTEPS = 1000


def alpha_bars(timesteps: int = TIMESTEPS) -> NDArray[np.float32]:
    """Returns the cosine schedule ``(timesteps + 1,)``: 1 at t = 0, exactly 0 at t = T. Nichol and Dhariwal 2021,
    eq. 17; zero at the end as in Lin et al. 2024, so that sampling starts where training has been."""
    t = np.linspace(0, 1, timesteps + 1)
    curve = np.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    curve = curve / curve[0]
    curve[-1] = 0.0
    return np.asarray(curve, np.float32)


class DDIM:
    """Steps deterministic DDIM (eta = 0) for a model that predicts x0. Song et al. 2021, eq. 12.

    Trailing timesteps: ``steps`` of them, evenly spaced, t = T among them.
    """

    def __init__(self, steps: int) -> None:
        if not 1 <= steps <= 50:
            raise ValueError(f"steps must be 1 to 50: got {steps}")
        self.steps = steps
        table = np.round(np.arange(steps, -1, -1) * (TIMESTEPS / steps)).astype(np.int64)
        self.timesteps: list[int] = table[:-1].tolist()  # ``steps`` of them, from T down
        self.alpha_bar: list[float] = alpha_bars()[table].tolist()  # steps + 1 of them, 0 up to 1

    def step(self, x0: Array, index: int, x: Array) -> Array:
        """Steps from the sample at ``timesteps[index]`` and the model's x0 to the sample at the next timestep; arrays
        or tensors."""
        stepped: Array = ddim_step(x0, x, self.alpha_bar[index], self.alpha_bar[index + 1])
        return stepped


def ddim_step(x0: Any, x: Any, a: Any, a_next: Any) -> Any:
    """Steps from the sample where alpha bar is ``a``, below 1, and the model's x0 to the sample where it is
    ``a_next``; arrays or tensors, float32."""
    noise = (x - a**0.5 * x0) / (1 - a) ** 0.5
    return a_next**0.5 * x0 + (1 - a_next) ** 0.5 * noise


def frame_noise(first: int, rows: int, width: int, seed: int) -> NDArray[np.float32]:
    """Draws noise ``(rows, width)`` of frames ``first...``: a function of the seed and the absolute frame number
    alone."""
    return np.stack(
        [
            np.random.Generator(np.random.Philox(key=seed, counter=frame)).standard_normal(width, np.float32)
            for frame in range(first, first + rows)
        ]
    )
