"""Measures seams: whether a motion made window by window jerks where one window ends and the next begins.

Jerk is the third difference of a curve, ``x[k+1] - 3 x[k] + 3 x[k-1] - x[k-2]``, which stands for the step from frame
``k - 1`` to frame ``k``; its size is the RMS over points and axes. The seam ratio is the mean jerk of the steps into a
window's first frame, over the mean jerk of steps inside: those of which none of the four frames lies across a border.
1 = nobody can tell where windows meet. Windows shorter than four frames have no such step; all steps that are not
borders count then as inside, and a border that jumps in an otherwise smooth curve reads 2, not more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DRAWS = 400
_FEWEST = 4  # borders, and steps inside, below which a ratio says nothing


@dataclass(frozen=True, slots=True)
class SeamScore:
    """Holds jerk in the curve's own unit, per frame cubed. NaN where there are too few borders."""

    ratio: float  # of means
    median_ratio: float  # of medians: not moved by a few seams, nor by a few quick lips
    chance: tuple[float, float]  # 5 % and 95 % of the ratio, had the borders been anywhere: a seam lies above it
    at_borders: float
    inside: float
    borders: int

    @property
    def visible(self) -> bool:
        """Says whether the borders jerk more than chance would have it."""
        return self.ratio > self.chance[1]


_NOTHING = SeamScore(float("nan"), float("nan"), (float("nan"), float("nan")), float("nan"), float("nan"), 0)


def jerk(curve: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Computes the jerk of the step into each frame of a curve ``(T, ...)``: ``(T,)``, NaN at both ends and beside
    unknown frames."""
    flat = np.asarray(curve, np.float64).reshape(len(curve), -1)
    sizes = np.full(len(curve), np.nan)
    if len(curve) >= 4:
        third = np.diff(flat, n=3, axis=0)
        sizes[2:-1] = np.sqrt((third**2).mean(axis=1))
    return sizes


def seam_score(curve: NDArray[np.floating[Any]], borders: Sequence[int]) -> SeamScore:
    """Scores landmarks (or any curve) ``(T, ...)``; ``borders`` are the first frames of windows, in any order.

    Frame 0 and numbers outside the curve are no borders. Frames that hold NaN do not count.
    """
    sizes = jerk(curve)
    known = ~np.isnan(sizes)
    first = np.zeros(len(curve), bool)
    first[[b for b in borders if 0 < b < len(curve)]] = True
    near = first.copy()
    near[1:] |= first[:-1]
    near[:-1] |= first[1:]
    at, inside = sizes[known & first], sizes[known & ~near]
    if len(inside) < _FEWEST:
        inside = sizes[known & ~first]
    if len(at) < _FEWEST or len(inside) < _FEWEST:
        return _NOTHING
    return SeamScore(
        _ratio(at.mean(), inside.mean()),
        _ratio(float(np.median(at)), float(np.median(inside))),
        _by_chance(np.concatenate([at, inside]), len(at)),
        float(at.mean()),
        float(inside.mean()),
        len(at),
    )


def _ratio(at: float, inside: float) -> float:
    if inside > 0:
        return float(at / inside)
    return 1.0 if at == 0 else float("inf")


def _by_chance(sizes: NDArray[np.float64], borders: int) -> tuple[float, float]:
    """Scores the same steps with the name "border" dealt out at random; fixed seed."""
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(_DRAWS):
        dealt = rng.permutation(sizes)
        ratios.append(_ratio(dealt[:borders].mean(), dealt[borders:].mean()))
    low, high = np.quantile(ratios, [0.05, 0.95])
    return float(low), float(high)
