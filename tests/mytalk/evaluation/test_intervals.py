"""Figures over people: the interval of a mean, the worst decile."""

from __future__ import annotations

import numpy as np
import pytest

from mytalk.evaluation.intervals import over_people


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(60):
        over = over_people(list(rng.normal(0.6, 0.1, size=25)))
        covered += over.low <= 0.6 <= over.high
    assert 50 <= covered <= 60


def test_more_people_make_the_interval_narrower() -> None:
    rng = np.random.default_rng(4)
    few, many = over_people(list(rng.normal(size=10))), over_people(list(rng.normal(size=1000)))
    assert many.high - many.low < (few.high - few.low) / 3


def test_one_person_far_below_shows_in_the_worst_and_not_in_the_median() -> None:
    over = over_people([0.7] * 19 + [0.1])
    assert (over.people, over.median, over.worst) == (20, 0.7, 0.1)
    assert over.mean == pytest.approx(0.67)
    assert over.worst_decile == pytest.approx(0.7)


def test_an_empty_group_cannot_be_summarised() -> None:
    with pytest.raises(ValueError, match="no people"):
        over_people([])
