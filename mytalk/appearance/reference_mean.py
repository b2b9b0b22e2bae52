"""Averages this person's mouths of a similar shape.

One mouth is also an accident of light, of expression and of compression. A mean of several is the likelier picture but
for its fine detail, which the nearest mouth has: so means are made at half the resolution.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.bank import Neighbours, half_size
from mytalk.appearance.colour_match import ColourMatcher, repeat_rgb
from mytalk.appearance.network_inputs import WarpedMouth
from mytalk.appearance.warp import COARSE, Target

MAX_NEIGHBOURS = 12
"""Mouths that a mean is made of, at most."""

_SIGMAS = (1.5, 0.7)
"""Sigmas of the Gaussians over distances of mouths that weigh the widest and the narrowest mean, crop pixels."""


def reference_pictures(
    nearest: WarpedMouth, neighbours: Neighbours, target: Target, matcher: ColourMatcher, count: int
) -> NDArray[np.float32]:
    """Makes ``count`` pictures of the wanted mouth in the current frame's light, ``(count, S, S, 3)``.

    Means from wide to narrow, with the fine detail of the nearest mouth; the last is that mouth alone. Where its
    interior is drawn or shaded, means change nothing.
    """
    seen = nearest.corrected
    out = np.empty((count, *seen.shape), np.float32)
    out[:] = seen
    if count == 1 or len(neighbours) == 1:
        return out
    coarse = half_size(seen)
    for one, mean in zip(out, neighbour_means(neighbours, target, count - 1), strict=False):  # the last stays
        difference = cv2.resize(
            mean + matcher.correction(mean) - coarse, seen.shape[1::-1], interpolation=cv2.INTER_LINEAR
        )
        one += difference if nearest.kept is None else difference * repeat_rgb(nearest.kept)
    return out


def neighbour_means(neighbours: Neighbours, target: Target, count: int) -> NDArray[np.float32]:
    """Averages the neighbours, warped to the target at half the resolution, wide to narrow, ``(count, 64, 64, 3)``."""
    flows = target.coarse_flows(neighbours.points)
    flows[..., 1] += COARSE * np.arange(len(flows), dtype=np.float32)[:, None, None]
    # One above the other, and so one call. Where two meet their rims mix, which no painted pixel comes from.
    warped = cv2.remap(
        neighbours.half_crops.reshape(-1, COARSE, 3), flows.reshape(-1, COARSE, 2), None, cv2.INTER_LINEAR
    )
    widest, narrowest = _SIGMAS
    sigma = widest * (narrowest / widest) ** (np.arange(count)[:, None] / max(count - 1, 1))
    shares = np.exp((neighbours.distance[0] ** 2 - neighbours.distance**2) / (2 * sigma**2))
    shares /= shares.sum(axis=1, keepdims=True)
    mixed = shares.astype(np.float32) @ warped.reshape(len(flows), -1).astype(np.float32)
    return np.asarray(mixed.reshape(count, COARSE, COARSE, 3), np.float32)
