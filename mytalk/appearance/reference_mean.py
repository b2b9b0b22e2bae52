"""Averages this person's mouths of a similar shape.

One mouth is also an accident of light, of expression and of compression. A mean of several is the likelier picture but
for its fine detail, which the nearest mouth has: so means are made at half the resolution.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.colour_match import ColourMatcher, correction
from mytalk.appearance.compiled import compiled, inlined
from mytalk.appearance.fill import Field
from mytalk.appearance.mesh import COARSE
from mytalk.appearance.sampling import Colours, enlarged, reduced, sample_colours
from mytalk.appearance.scene import Neighbours
from mytalk.appearance.warp import Target, fit_lips, flow_from

MAX_NEIGHBOURS = 12
"""Mouths that a mean is made of, at most."""

SIGMAS = (1.5, 0.7)
"""Sigmas of the Gaussians over distances of mouths that weigh the widest and the narrowest mean, crop pixels."""


@inlined
def mean_changes(
    seen: Colours, kept: Field, neighbours: Neighbours, target: Target, matcher: ColourMatcher, count: int
) -> NDArray[np.float32]:
    """Returns what ``count`` means of the wanted mouth, wide to narrow, have that the mouth ``seen`` has not, in the
    current frame's light, ``(count, 128, 128, 3)``.

    ``seen`` is in that light already; where its inside is drawn or shaded, ``kept`` below 1, means change less. One
    neighbour alone has no mean.
    """
    side = len(seen)
    changes = np.zeros((count, side, side, 3), np.float32)
    if count == 0 or len(neighbours.distance) == 1:
        return changes
    coarse, means = reduced(seen, COARSE), neighbour_means(neighbours, target, count)
    for k in range(count):
        light = correction(matcher, means[k])
        for y in range(COARSE):
            for x in range(COARSE):
                for c in range(3):
                    light[y, x, c] += means[k, y, x, c] - coarse[y, x, c]
        change = enlarged(light, side)
        for y in range(side):
            for x in range(side):
                for c in range(3):
                    changes[k, y, x, c] = kept[y, x] * change[y, x, c]
    return changes


@compiled
def neighbour_means(neighbours: Neighbours, target: Target, count: int) -> NDArray[np.float32]:
    """Averages the neighbours, warped to the target at half the resolution, wide to narrow, ``(count, 64, 64, 3)``."""
    shares = mean_shares(neighbours.distance, count)
    means = np.zeros((count, COARSE, COARSE, 3), np.float32)
    for i in range(len(neighbours.distance)):
        source = neighbours.points[i]
        flow = flow_from(target, source, fit_lips(source, target.points).anchored, 2)
        warped = sample_colours(neighbours.half_crops[i], flow)
        for k in range(count):
            share = shares[k, i]
            for y in range(COARSE):
                for x in range(COARSE):
                    for c in range(3):
                        means[k, y, x, c] += share * warped[y, x, c]
    return means


@compiled
def mean_shares(distance: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Returns the share of each neighbour in each mean, ``(count, N)``."""
    shares = np.empty((count, len(distance)), np.float32)
    for k in range(count):
        sigma, total = SIGMAS[0] * (SIGMAS[1] / SIGMAS[0]) ** (k / max(count - 1, 1)), np.float32(0)
        for i in range(len(distance)):
            shares[k, i] = math.exp((distance[0] ** 2 - distance[i] ** 2) / (2 * sigma**2))
            total += shares[k, i]
        for i in range(len(distance)):
            shares[k, i] /= total
    return shares
