"""Computes learning rates as a function of the step."""

from __future__ import annotations

import math

from mytalk.training.run.config import TrainingOptions


def learning_rate(options: TrainingOptions, step: int, steps: int) -> float:
    """Returns the rate of ``step`` (0, 1, ...) of a run of ``steps``.

    A linear rise over ``warm_up`` steps, then constant, base * sqrt(warm_up / step) (Vaswani et al. 2017, eq. 3, with
    the base reached at the end of the warm-up), or a half cosine down to 2 %. ``cool_down`` lowers the last share of
    the run to 1 % of what it would have been.
    """
    rise = min(1.0, (step + 1) / max(1, options.warm_up))
    if options.schedule == "inverse_square_root":
        shape = math.sqrt(min(1.0, max(1, options.warm_up) / (step + 1)))
    elif options.schedule == "cosine":
        shape = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, steps))))
    else:
        shape = 1.0
    fall = 1.0
    if options.cool_down > 0:
        fall = min(1.0, max(0.0, steps - step) / (options.cool_down * steps) + 0.01)
    return options.learning_rate * rise * shape * fall
