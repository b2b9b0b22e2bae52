"""Samples pictures between their pixels, the edge repeated outside."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.compiled import Real, compiled

Colours = NDArray[np.float32]  # (S, S, 3), 0..255
Matrix = NDArray[np.float32]  # (2, 3) affine

_SHARPNESS = np.float32(-0.75)  # of the cubic kernel, as OpenCV has it


@compiled
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
            one, two = (1 - across) * (1 - down), across * (1 - down)
            three, four = (1 - across) * down, across * down
            for c in range(3):
                out[row, column, c] = (
                    one * np.float32(pixels[y0, x0, c]) + two * np.float32(pixels[y0, x1, c])
                    + three * np.float32(pixels[y1, x0, c]) + four * np.float32(pixels[y1, x1, c])
                )  # fmt: skip
    return out


@compiled
def linear(plane: NDArray[Any], x: Real, y: Real) -> Real:
    """Samples ``(h, w)`` at one place by linear interpolation."""
    x0, x1, across = _corners(x, plane.shape[1])
    y0, y1, down = _corners(y, plane.shape[0])
    above = np.float32(plane[y0, x0]) * (1 - across) + np.float32(plane[y0, x1]) * across
    below = np.float32(plane[y1, x0]) * (1 - across) + np.float32(plane[y1, x1]) * across
    return above * (1 - down) + below * down


@compiled
def _cubic_weights(share: Real) -> tuple[Real, Real, Real, Real]:
    """Returns the weights of the pixels -1, 0, 1 and 2 for a place ``share`` after pixel 0. Keys 1981."""
    one, other = share + 1, 1 - share
    before = ((_SHARPNESS * one - 5 * _SHARPNESS) * one + 8 * _SHARPNESS) * one - 4 * _SHARPNESS
    first = ((_SHARPNESS + 2) * share - (_SHARPNESS + 3)) * share * share + 1
    second = ((_SHARPNESS + 2) * other - (_SHARPNESS + 3)) * other * other + 1
    return before, first, second, 1 - before - first - second


@compiled
def cubic(plane: NDArray[Any], x: Real, y: Real) -> Real:
    """Samples ``(h, w)`` at one place by cubic interpolation, within 0..255."""
    height, width = plane.shape
    column, row = int(np.floor(x)), int(np.floor(y))
    a, b, c, d = _cubic_weights(np.float32(x) - np.float32(column))
    weights = _cubic_weights(np.float32(y) - np.float32(row))
    x0, x1 = min(max(column - 1, 0), width - 1), min(max(column, 0), width - 1)
    x2, x3 = min(max(column + 1, 0), width - 1), min(max(column + 2, 0), width - 1)
    value = np.float32(0)
    for k in range(4):
        line = min(max(row - 1 + k, 0), height - 1)
        value += weights[k] * (
            a * np.float32(plane[line, x0]) + b * np.float32(plane[line, x1])
            + c * np.float32(plane[line, x2]) + d * np.float32(plane[line, x3])
        )  # fmt: skip
    return min(max(value, np.float32(0)), np.float32(255))


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
