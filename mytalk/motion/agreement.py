"""Compares how lips move with how speech would move them: at which lag they agree, and whether they belong together.

Speech is turned into lips by a model of motion; those are correlated with the filmed ones over all lags up to 0.6 s.
After SyncNet (Chung and Zisserman 2016), whose offset is likewise the best of +-15 frames, and whose confidence is the
best against the others; here with landmarks, since landmarks are what is at hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytalk.face.landmarks import CORNERS, LOWER_FACE, aperture
from mytalk.media_time import MOTION_RATE

MAX_LAG = 15
"""Frames either way that are searched."""

# Of sound and faces that do not belong together, 1 in 100 comes above either, whatever the length (measured on pairs
# of unlike clips of 3 to 18 s).
CONFIDENT = 0.45
_BELONGS = 0.65

_ENOUGH_SECONDS = 20.0  # from which on no agreement at all means that they do not belong together
_PEAK = 3  # frames to either side of the best that are the same peak
_SLOW = MOTION_RATE  # frames of a moving mean that is taken away: pose and smile are not speech

_LOWER = list(LOWER_FACE)
_CHIN, _UPPER_LIP, _LOWER_LIP = (_LOWER.index(point) for point in (152, 13, 14))


@dataclass(frozen=True, slots=True)
class Offset:
    """Holds what was found in one part of a video."""

    ms: float  # positive: the sound is late
    correlation: float  # at that lag, mean over what is measured of the lips
    confidence: float  # how far that stands above other lags, times the root of the seconds
    seconds: float  # of speech that it rests on

    @property
    def confident(self) -> bool:
        return self.confidence >= CONFIDENT

    @property
    def error_ms(self) -> float:
        """Returns the error that 19 of 20 measurements of ``seconds`` are within: of 3 s, 40 ms (measured on 100
        takes of one studio).

        Never below 20 ms, by which speakers differ who are in sync.
        """
        return max(20.0, 70.0 / math.sqrt(max(self.seconds, 1.0)))

    @property
    def to_remove_ms(self) -> float:
        """Returns the offset to remove; 0 where it is not known well enough, or no more than the error of measuring
        it."""
        return self.ms if self.confident and abs(self.ms) > self.error_ms else 0.0

    def problem(self, *, strict: bool) -> str | None:
        """Returns why nothing may be learned from it, or None. ``strict``: nor from one whose sync is unknown."""
        if self.confident and abs(self.ms) > (MAX_LAG - 0.5) * 1000 / MOTION_RATE:
            return f"the sound is off by {self.ms:+.0f} ms or more"
        agreement = self.correlation * self.seconds**0.5
        if not self.confident and self.seconds >= _ENOUGH_SECONDS and agreement < _BELONGS:
            return f"lips and sound agree at no lag (r {self.correlation:.2f} in {self.seconds:.0f} s)"
        if strict and not self.confident:
            return f"cannot be told (confidence {self.confidence:.2f}, need {CONFIDENT})"
        return None


def agreement(measured: NDArray[np.float32], expected: NDArray[np.float32], before: int) -> NDArray[np.float64]:
    """Computes the mean correlation at each lag from ``-MAX_LAG`` to ``MAX_LAG`` (positive: the sound is late).

    ``measured``: lower faces ``(T, 169, 3)`` as filmed. ``expected``: as the sound asks for them, from ``before``
    frames, at least ``MAX_LAG``, before the first one on to as many after the last one.
    """
    ours, theirs = _measures(measured), _measures(expected)
    lags = range(-MAX_LAG, MAX_LAG + 1)
    windows = [theirs[:, before + lag : before + lag + ours.shape[1]] for lag in lags]
    return np.array([np.mean(_correlations(ours, window)) for window in windows])


def _measures(lower: NDArray[np.float32]) -> NDArray[np.float64]:
    """Measures the lips ``(10, T)``: aperture, width, chin and both lips' heights; and the speed of each."""
    places = [
        aperture(lower),
        lower[:, CORNERS[1], 0] - lower[:, CORNERS[0], 0],
        lower[:, _CHIN, 1],
        lower[:, _UPPER_LIP, 1],
        lower[:, _LOWER_LIP, 1],
    ]
    window = np.ones(_SLOW) / _SLOW
    padded = np.pad(np.asarray(places, np.float64), ((0, 0), (_SLOW // 2, _SLOW // 2)), mode="edge")
    quick = np.asarray(places) - np.stack([np.convolve(row, window, "valid") for row in padded])
    return np.concatenate([quick, np.gradient(quick, axis=1)])


def _correlations(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Computes Pearson's r row by row; 0 where either does not move."""
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    size = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.asarray((a * b).sum(axis=1) / np.maximum(size, 1e-9))


def best_offset(scores: NDArray[np.float64], seconds: float) -> Offset:
    """Finds the lag of the highest score, between frames by a parabola through it and its neighbours."""
    top = int(scores.argmax())
    shift = 0.0
    if 0 < top < len(scores) - 1:
        low, high = scores[top - 1], scores[top + 1]
        shift = float((low - high) / (2 * min(low + high - 2 * scores[top], -1e-9)))
    rivals = np.delete(scores, slice(max(0, top - _PEAK), top + _PEAK + 1))
    confidence = float(scores[top] - rivals.max()) * seconds**0.5
    return Offset((top - MAX_LAG + shift) * 1000 / MOTION_RATE, float(scores[top]), confidence, seconds)
