"""Corrects light and skin tone of an earlier mouth to the current frame's, by the skin around it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.compiled import Real, compiled
from mytalk.appearance.fill import Field
from mytalk.appearance.sampling import Colours, enlarged, reduced

CELLS = 32
"""Side of the grid that light is corrected on: shading, not detail."""

NEAR_SIGMA, FAR_SIGMA = 2.5, 6.0  # Gaussian sigmas, cells
FAR_SHARE = 0.02  # weight of the far kernel, which counts where the near one finds nothing
RING_REACH = 4  # cells from a changed cell up to which skin tells the light of all of the region
MAX_LIGHT_CHANGE = 1.1  # greatest change of light and exposure, log units; more is other content, as a hand
MAX_SHADING = 0.1  # greatest local shading beside that, log units
OTHER_CONTENT = 0.2  # difference, log units, from which a cell is other content: background beside a turned cheek
MIN_WEIGHT = 1e-3  # weight of such a cell, for where all around is other content
LOG_OFFSET = 20.0  # added to colours 0..255 before the logarithm, for dark pixels
_ZERO, _ONE = np.float32(0), np.float32(1)


def _smoothing_matrix(sigma: Real) -> Field:
    """Returns a Gaussian over the grid as a symmetric matrix ``(32, 32)``; what lies outside the grid counts as 0."""
    apart = np.arange(CELLS)[:, None] - np.arange(CELLS)
    weights = np.where(np.abs(apart) <= np.ceil(3 * sigma), np.exp(-0.5 * (apart / sigma) ** 2), 0)
    return np.asarray(weights / weights.sum(axis=1).max(), np.float32)


NEAR, FAR = _smoothing_matrix(NEAR_SIGMA), _smoothing_matrix(FAR_SIGMA)


class ColourMatcher(NamedTuple):
    """Holds what is known of the current frame around one mouth region."""

    current: NDArray[np.float32]  # (32, 32, 3): logarithms of the frame's colours
    known: Field  # (32, 32): 1 where the frame stays as it is
    ring: NDArray[np.bool_]  # (32, 32): skin right around the region


@compiled
def matcher_of(current: Colours, region: Field) -> ColourMatcher:
    """Prepares the current frame ``(S, S, 3)``, of which ``region`` ``(S, S)`` is painted."""
    changed = reduced(region.reshape(region.shape[0], region.shape[1], 1), CELLS)
    known, ring = np.zeros((CELLS, CELLS), np.float32), np.zeros((CELLS, CELLS), np.bool_)
    for row in range(1, CELLS - 1):
        for column in range(1, CELLS - 1):
            known[row, column] = max(_ONE - 2 * changed[row, column, 0], _ZERO)
    for row in range(CELLS):
        for column in range(CELLS):
            if known[row, column] == 1:
                for y in range(max(row - RING_REACH, 0), min(row + RING_REACH + 1, CELLS)):
                    for x in range(max(column - RING_REACH, 0), min(column + RING_REACH + 1, CELLS)):
                        ring[row, column] |= known[y, x] == 0
    return ColourMatcher(_log_cells(current), known, ring)


@compiled
def correction(matcher: ColourMatcher, warped: Colours) -> Colours:
    """Returns what to add to ``warped`` so that its light meets the current frame's around the region, smoothly
    inside."""
    difference = _log_cells(warped)
    light = _light(matcher, difference)
    same, weighted = np.empty((CELLS, CELLS), np.float32), np.empty((CELLS, CELLS, 4), np.float32)
    for row in range(CELLS):
        for column in range(CELLS):
            apart = _ZERO
            for c in range(3):
                difference[row, column, c] = matcher.current[row, column, c] - difference[row, column, c] - light[c]
                apart = max(apart, abs(difference[row, column, c]))
            same[row, column] = (np.float32(OTHER_CONTENT) - apart) / np.float32(OTHER_CONTENT - MAX_SHADING)
    limit = np.float32(MAX_SHADING)
    for row in range(CELLS):
        for column in range(CELLS):
            least = _ONE  # a cell beside other content holds some of it
            for y in range(max(row - 1, 0), min(row + 2, CELLS)):
                for x in range(max(column - 1, 0), min(column + 2, CELLS)):
                    least = min(least, same[y, x])
            known = matcher.known[row, column] * max(least, np.float32(MIN_WEIGHT))
            for c in range(3):
                weighted[row, column, c] = known * min(max(difference[row, column, c], -limit), limit)
            weighted[row, column, 3] = known
    near, far = _smoothed(weighted, NEAR), _smoothed(weighted, FAR)
    for row in range(CELLS):
        for column in range(CELLS):
            known = near[row, column, 3] + np.float32(FAR_SHARE) * far[row, column, 3] + np.float32(1e-6)
            for c in range(3):
                smooth = (near[row, column, c] + np.float32(FAR_SHARE) * far[row, column, c]) / known
                difference[row, column, c] = np.exp(smooth + light[c]) - _ONE
    gain = enlarged(difference, warped.shape[0])
    for row in range(len(gain)):
        for column in range(len(gain)):
            for c in range(3):
                gain[row, column, c] *= warped[row, column, c] + np.float32(LOG_OFFSET)
    return gain


@compiled
def log_difference(matcher: ColourMatcher, expected: Colours) -> Field:
    """Measures how each cell of the frame differs from what is expected there in the frame's light, ``(32, 32)``.

    The greatest difference of the logarithms of the cell's three colours.
    """
    cells, out = _log_cells(expected), np.zeros((CELLS, CELLS), np.float32)
    light = _light(matcher, cells)
    for row in range(CELLS):
        for column in range(CELLS):
            for c in range(3):
                apart = abs(matcher.current[row, column, c] - cells[row, column, c] - light[c])
                out[row, column] = max(out[row, column], apart)
    return out


@compiled
def _light(matcher: ColourMatcher, cells: NDArray[np.float32]) -> NDArray[np.float32]:
    """Estimates how much lighter the frame is than ``cells``, logarithms ``(3,)``: a median, robust to other content
    around."""
    light, values = np.zeros(3, np.float32), np.empty(CELLS * CELLS, np.float32)
    for c in range(3):
        count = 0
        for row in range(CELLS):
            for column in range(CELLS):
                if matcher.ring[row, column]:
                    values[count] = matcher.current[row, column, c] - cells[row, column, c]
                    count += 1
        if count > 0:
            light[c] = _middle(values, count)
    if not max(abs(light[0]), abs(light[1]), abs(light[2])) < MAX_LIGHT_CHANGE:
        light[0], light[1], light[2] = _ZERO, _ZERO, _ZERO
    return light


@compiled
def _middle(values: NDArray[np.float32], count: int) -> Real:
    """Returns the median of the first ``count`` values, the upper one of two, and changes their order. Hoare 1961."""
    low, high, middle = 0, count - 1, count // 2
    while low < high:
        pivot, i, j = values[middle], low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i, j = i + 1, j - 1
        if j < middle:
            low = i
        if i > middle:
            high = j
    return values[middle]


@compiled
def _log_cells(colours: Colours) -> NDArray[np.float32]:
    cells = reduced(colours, CELLS)
    for row in range(CELLS):
        for column in range(CELLS):
            for c in range(3):
                cells[row, column, c] = np.log(max(cells[row, column, c], _ZERO) + np.float32(LOG_OFFSET))
    return cells


@compiled
def _smoothed(values: NDArray[np.float32], matrix: Field) -> NDArray[np.float32]:
    """Multiplies rows and columns of ``(32, 32, 4)`` by a symmetric matrix."""
    return _turned(_turned(values, matrix), matrix)


@compiled
def _turned(values: NDArray[np.float32], matrix: Field) -> NDArray[np.float32]:
    """Multiplies ``(32, 32, 4)`` by a matrix from the left, and turns rows into columns."""
    flat, line = values.reshape(CELLS, 4 * CELLS), np.empty(4 * CELLS, np.float32)
    out = np.empty((CELLS, CELLS, 4), np.float32)
    for row in range(CELLS):
        for x in range(4 * CELLS):
            line[x] = 0
        for k in range(CELLS):
            weight = matrix[row, k]
            if weight > 0:
                for x in range(4 * CELLS):
                    line[x] += weight * flat[k, x]
        for x in range(CELLS):
            for c in range(4):
                out[x, row, c] = line[4 * x + c]
    return out
