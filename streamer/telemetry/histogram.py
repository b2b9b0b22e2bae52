"""Counts of values by size, as Prometheus wants them."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate


class Histogram:
    """``bounds`` are the upper ends of its buckets; above the last one is another.

    One thread at a time observes; others may read meanwhile.

    >>> times = Histogram(0.01, 0.1)
    >>> times.observe(0.05)
    >>> times.samples("seconds")[:2]
    [('seconds_bucket{le="0.01"}', 0), ('seconds_bucket{le="0.1"}', 1)]
    """

    def __init__(self, *bounds: float) -> None:
        self.sum = 0.0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Counts one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def update(self, other: Histogram) -> None:
        """Adds what another one of the same bounds has counted."""
        assert self._bounds == other._bounds
        self._counts = [mine + its for mine, its in zip(self._counts, other._counts, strict=True)]
        self.sum += other.sum

    def samples(self, name: str) -> list[tuple[str, float]]:
        """Name with labels, and value, of each line."""
        totals = list(accumulate(self._counts))
        edges = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        buckets = [(f'{name}_bucket{{le="{edge}"}}', total) for edge, total in zip(edges, totals, strict=True)]
        return [*buckets, (f"{name}_sum", self.sum), (f"{name}_count", totals[-1])]


def skew_histogram() -> Histogram:
    """For seconds that a picture left later than its sound; ITU-R BT.1359 has it noticed from -0.045 and 0.125 on."""
    return Histogram(-0.125, -0.045, -0.02, 0.0, 0.02, 0.045, 0.08, 0.125, 0.25, 0.5, 1.0)


def work_histogram() -> Histogram:
    """For seconds of work; a frame has 0.04."""
    return Histogram(0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28)
