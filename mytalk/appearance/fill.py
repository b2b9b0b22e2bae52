"""Draws polygons by their exact coverage and blurs pictures, as masks and the mouth's inside need it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.compiled import Real, compiled
from mytalk.appearance.mesh import Points

Field = NDArray[np.float32]

LINES = 4
"""Lines of one row of pixels on which coverage is measured; along a line it is exact."""


@compiled
def add_coverage(canvas: Field, polygon: Points, share: Real) -> None:
    """Adds to a canvas how much of each pixel a polygon ``(N, 2)`` covers, 0..1, times ``share``.

    A line's coverage is a sum over the edges that cross it: each adds what lies to its right, with the sign of its
    direction. Parts of a polygon that crosses itself count as far as they are turned one way.
    """
    height, width = canvas.shape
    low, high = polygon[0, 1], polygon[0, 1]
    for i in range(len(polygon)):
        low, high = min(low, polygon[i, 1]), max(high, polygon[i, 1])
    steps, share = np.zeros(width + 1, np.float32), np.float32(share)
    for row in range(max(int(np.floor(low + 0.5)), 0), min(int(np.floor(high + 0.5)), height - 1) + 1):
        for line in range(LINES):
            y = np.float32(row) + np.float32((line + 0.5) / LINES - 0.5)
            for i in range(len(polygon)):
                j = i + 1 if i + 1 < len(polygon) else 0
                x0, y0, x1, y1 = polygon[i, 0], polygon[i, 1], polygon[j, 0], polygon[j, 1]
                if (y0 <= y) != (y1 <= y):
                    crossing = x0 + (y - y0) / (y1 - y0) * (x1 - x0) + np.float32(0.5)
                    crossing = min(max(crossing, np.float32(0)), np.float32(width) - np.float32(1e-3))
                    pixel = int(crossing)
                    sign = np.float32(1 / LINES) if y0 <= y else np.float32(-1 / LINES)
                    steps[pixel] += sign * (np.float32(pixel + 1) - crossing)
                    steps[pixel + 1] += sign * (crossing - np.float32(pixel))
        covered = np.float32(0)
        for x in range(width):
            covered += steps[x]
            canvas[row, x] += share * abs(covered)
            steps[x] = 0
        steps[width] = 0


@compiled
def gaussian(sigma: Real) -> Field:
    """Returns the weights of a Gaussian up to 3 sigma, their sum 1."""
    reach, total = math.ceil(3 * sigma), 0.0
    weights = np.empty(2 * reach + 1, np.float32)
    for k in range(2 * reach + 1):
        weights[k] = math.exp(-0.5 * ((k - reach) / sigma) ** 2)
        total += weights[k]
    for k in range(2 * reach + 1):
        weights[k] /= np.float32(total)
    return weights


@compiled
def blur(field: Field, sigma: Real, channels: int) -> Field:
    """Blurs ``(H, W * channels)`` by a Gaussian, the picture mirrored at its edges (its edge pixel not repeated)."""
    weights = gaussian(sigma)
    reach, (height, width) = len(weights) // 2, field.shape
    pad = reach * channels
    line = np.empty(width + 2 * pad, np.float32)
    across, out = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            line[pad + x] = field[y, x]
        for k in range(1, reach + 1):
            for c in range(channels):
                line[pad - k * channels + c] = line[pad + k * channels + c]
                line[pad + width + (k - 1) * channels + c] = line[pad + width - (k + 1) * channels + c]
        for k in range(len(weights)):
            weight, shift = weights[k], k * channels
            for x in range(width):
                across[y, x] += weight * line[x + shift]
    for y in range(height):
        for k in range(len(weights)):
            weight, row = weights[k], abs(y + k - reach)
            row = row if row < height else 2 * height - 2 - row
            for x in range(width):
                out[y, x] += weight * across[row, x]
    return out
