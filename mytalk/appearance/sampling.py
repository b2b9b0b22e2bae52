"""Samples pictures between their pixels, the edge repeated outside."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.compiled import Real, compiled, leaf

Colours = NDArray[np.float32]  # (S, S, 3), 0..255
Matrix = NDArray[np.float32]  # (2, 3) affine

ONE = np.float32(1)  # with a plain 1 the rest would be computed in float64
SHARPNESS = np.float32(-0.75)  # of the cubic kernel, as OpenCV has it
_FAR = (np.float32(-5 * SHARPNESS), np.float32(8 * SHARPNESS), np.float32(-4 * SHARPNESS))
_NEAR = (np.float32(SHARPNESS + 2), np.float32(-SHARPNESS - 3))


@leaf
def _corners(position: Real, size: int) -> tuple[Any, Any, Real]:
    """Returns the two pixels around a position along one axis, and the share of the second."""
    position = min(max(position, np.float32(0)), np.float32(size - 1))
    first = min(int(position), size - 1)
    return np.uintp(first), np.uintp(min(first + 1, size - 1)), position - np.float32(first)


@compiled
def sample_colours(pixels: NDArray[Any], positions: NDArray[np.float32]) -> Colours:
    """Samples ``(h, w, 3)`` at ``positions`` ``(H, W, 2)`` by linear interpolation."""
    height, width, _ = pixels.shape
    out = np.empty((positions.shape[0], positions.shape[1], 3), np.float32)
    for row in range(positions.shape[0]):
        for column in range(positions.shape[1]):
            x0, x1, across = _corners(positions[row, column, 0], width)
            y0, y1, down = _corners(positions[row, column, 1], height)
            one, two = (ONE - across) * (ONE - down), across * (ONE - down)
            three, four = (ONE - across) * down, across * down
            for c in range(3):
                out[row, column, c] = (
                    one * np.float32(pixels[y0, x0, c]) + two * np.float32(pixels[y0, x1, c])
                    + three * np.float32(pixels[y1, x0, c]) + four * np.float32(pixels[y1, x1, c])
                )  # fmt: skip
    return out


@leaf
def linear(plane: NDArray[Any], x: Real, y: Real) -> Real:
    """Samples ``(h, w)`` at one place by linear interpolation."""
    x0, x1, across = _corners(x, plane.shape[1])
    y0, y1, down = _corners(y, plane.shape[0])
    above = np.float32(plane[y0, x0]) * (ONE - across) + np.float32(plane[y0, x1]) * across
    below = np.float32(plane[y1, x0]) * (ONE - across) + np.float32(plane[y1, x1]) * across
    return above * (ONE - down) + below * down


@leaf
def _cubic_weights(share: Real) -> tuple[Real, Real, Real, Real]:
    """Returns the weights of the pixels -1, 0, 1 and 2 for a place ``share`` after pixel 0. Keys 1981."""
    # The cubics before and beyond one pixel: near = (a + 2) x^3 - (a + 3) x^2 + 1, far = a x^3 - 5 a x^2 + 8 a x - 4 a.
    one, other = share + ONE, ONE - share
    before = ((SHARPNESS * one + _FAR[0]) * one + _FAR[1]) * one + _FAR[2]
    first = (_NEAR[0] * share + _NEAR[1]) * share * share + ONE
    second = (_NEAR[0] * other + _NEAR[1]) * other * other + ONE
    return before, first, second, ONE - before - first - second


@leaf
def cubic(plane: NDArray[Any], x: Real, y: Real) -> Real:
    """Samples ``(h, w)`` at one place by cubic interpolation, within 0..255."""
    height, width = plane.shape
    column, row = int(np.floor(x)), int(np.floor(y))
    columns = (
        np.uintp(min(max(column - 1, 0), width - 1)), np.uintp(min(max(column, 0), width - 1)),
        np.uintp(min(max(column + 1, 0), width - 1)), np.uintp(min(max(column + 2, 0), width - 1)),
    )  # fmt: skip
    across = _cubic_weights(np.float32(x) - np.float32(column))
    a, b, c, d = _cubic_weights(np.float32(y) - np.float32(row))
    value = (
        a * _weighted(plane, np.uintp(min(max(row - 1, 0), height - 1)), columns, across)
        + b * _weighted(plane, np.uintp(min(max(row, 0), height - 1)), columns, across)
        + c * _weighted(plane, np.uintp(min(max(row + 1, 0), height - 1)), columns, across)
        + d * _weighted(plane, np.uintp(min(max(row + 2, 0), height - 1)), columns, across)
    )
    return min(max(value, np.float32(0)), np.float32(255))


@leaf
def _weighted(plane: NDArray[Any], row: Any, columns: tuple[Any, ...], weights: tuple[Real, ...]) -> Real:
    return (
        weights[0] * np.float32(plane[row, columns[0]]) + weights[1] * np.float32(plane[row, columns[1]])
        + weights[2] * np.float32(plane[row, columns[2]]) + weights[3] * np.float32(plane[row, columns[3]])
    )  # fmt: skip


@compiled
def enlarged(field: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Enlarges ``(s, s, C)`` to ``(size, size, C)`` by linear interpolation."""
    side, channels = field.shape[0], field.shape[2]
    scale, half = np.float32(side / size), np.float32(0.5)
    line, out = np.empty((side, channels), np.float32), np.empty((size, size, channels), np.float32)
    for row in range(size):
        y0, y1, down = _corners((np.float32(row) + half) * scale - half, side)
        for column in range(side):
            for c in range(channels):
                line[column, c] = field[y0, column, c] + down * (field[y1, column, c] - field[y0, column, c])
        for column in range(size):
            x0, x1, across = _corners((np.float32(column) + half) * scale - half, side)
            for c in range(channels):
                out[row, column, c] = line[x0, c] + across * (line[x1, c] - line[x0, c])
    return out


@compiled
def reduced(field: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Averages the pixels of ``(S, S, C)`` that each pixel of ``(side, side, C)`` covers or touches."""
    size, channels = field.shape[0], field.shape[2]
    line, out = np.empty((size, channels), np.float32), np.empty((side, side, channels), np.float32)
    for row in range(side):
        y0, y1 = row * size // side, ((row + 1) * size + side - 1) // side
        for column in range(size):
            for c in range(channels):
                line[column, c] = field[y0, column, c]
        for y in range(y0 + 1, y1):
            for column in range(size):
                for c in range(channels):
                    line[column, c] += field[y, column, c]
        for column in range(side):
            x0, x1 = column * size // side, ((column + 1) * size + side - 1) // side
            for c in range(channels):
                total = np.float32(0)
                for x in range(x0, x1):
                    total += line[x, c]
                out[row, column, c] = total / np.float32((y1 - y0) * (x1 - x0))
    return out
