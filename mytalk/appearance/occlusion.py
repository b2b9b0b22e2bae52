"""Detects objects in front of a mouth: a microphone, a hand, a cup. They stay as filmed, and enter no reference.

A pixel is covered where the frame, its skin moved to the wanted landmarks, differs from what this person looks like
with them. The inside of a mouth varies too much to be compared, so it counts as what is around it.
"""

from __future__ import annotations

import numpy as np

from mytalk.appearance.colour_match import CELLS, ColourMatcher, log_difference
from mytalk.appearance.compiled import compiled
from mytalk.appearance.fill import Field, blur
from mytalk.appearance.sampling import Colours
from mytalk.face.pose import CROP_PIXELS

MIN_MOUTHS = 8
"""Mouths that a bank must hold before it can tell an object from this person's face."""

MAX_REFERENCE_SHARE = 0.05
"""Covered share of the mouth region from which on a mouth is no reference."""

SKIN_DIFFERENCE = 0.4  # log difference up to which a cell is skin
OBJECT_DIFFERENCE = 0.65  # and from which on it is an object
CELL_SIGMA = 1.5  # Gaussian sigma, cells: what is smaller is a fold, a highlight or an edge
LIPS_SHARE = 0.05  # greatest share of a pixel of a cell that may lie between the lips
LIPS_REACH = 2  # crop pixels from a cell's middle within which that counts
FREE_SHARE = 0.3  # share of object cells around one, up to which it is free
COVERED_SHARE = 0.6  # and from which on it is covered
MIN_SHARE = 0.05  # covered share below which nothing is covered
MAX_FRAME_SHARE = 0.7  # covered share of all cells from which on it is the person who looks different
ATTACK = 0.8  # share of the way towards more cover in one frame
RELEASE = 0.4  # and towards less
_BLOCK = CROP_PIXELS // CELLS
_ZERO, _ONE = np.float32(0), np.float32(1)


@compiled
def track_cover(shares: Field, expected: Colours, interior: Field, matcher: ColourMatcher) -> bool:
    """Updates how far each cell is covered, ``(32, 32)`` in 0..1, from the last frame to this one; says if any is.

    ``expected`` is the wanted mouth, ``interior`` its inside, ``matcher`` that of the frame whose skin has been moved
    to it.
    """
    now = covered_shares(expected, interior, matcher)
    some, most = _any(shares), _ZERO
    for row in range(CELLS):
        for column in range(CELLS):
            change = now[row, column] - shares[row, column]
            step = np.float32(ATTACK) if change > 0 else np.float32(RELEASE)
            shares[row, column] += step * change if some else change
            most = max(most, shares[row, column])
    if most > MIN_SHARE:
        return True
    for row in range(CELLS):
        for column in range(CELLS):
            shares[row, column] = 0
    return False


@compiled
def _any(shares: Field) -> bool:
    for row in range(CELLS):
        for column in range(CELLS):
            if shares[row, column] > 0:
                return True
    return False


@compiled
def covered_shares(expected: Colours, interior: Field, matcher: ColourMatcher) -> Field:
    """Returns how far each cell is covered, ``(32, 32)`` in 0..1."""
    comparable, foreign = _without_lips(interior), log_difference(matcher, expected)
    for row in range(CELLS):
        for column in range(CELLS):
            share = (foreign[row, column] - np.float32(SKIN_DIFFERENCE)) / np.float32(
                OBJECT_DIFFERENCE - SKIN_DIFFERENCE
            )
            foreign[row, column] = min(max(share, _ZERO), _ONE) * comparable[row, column]
    foreign, around = blur(foreign, CELL_SIGMA, 1), blur(comparable, CELL_SIGMA, 1)
    total = _ZERO
    for row in range(CELLS):
        for column in range(CELLS):
            nearby = foreign[row, column] / (around[row, column] + np.float32(1e-3))
            share = (nearby - np.float32(FREE_SHARE)) / np.float32(COVERED_SHARE - FREE_SHARE)
            foreign[row, column] = min(max(share, _ZERO), _ONE)
            total += foreign[row, column]
    if not total < MAX_FRAME_SHARE * CELLS * CELLS:
        return np.zeros((CELLS, CELLS), np.float32)
    return foreign


@compiled
def _without_lips(interior: Field) -> Field:
    """Marks the cells that hold next to nothing of the inside of the mouth, ``(32, 32)``."""
    free = np.empty((CELLS, CELLS), np.float32)
    for row in range(CELLS):
        for column in range(CELLS):
            most = _ZERO
            for y in range(max(row * _BLOCK + 1 - LIPS_REACH, 0), min(row * _BLOCK + 3 + LIPS_REACH, CROP_PIXELS)):
                for x in range(
                    max(column * _BLOCK + 1 - LIPS_REACH, 0), min(column * _BLOCK + 3 + LIPS_REACH, CROP_PIXELS)
                ):
                    most = max(most, interior[y, x])
            free[row, column] = _ONE if most < LIPS_SHARE else _ZERO
    return free
