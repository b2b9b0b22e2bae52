"""What this person's mouths of about one shape look like: means over those that are nearest.

One mouth is also an accident of light, of expression and of compression. A mean of several is the likelier picture but
for its fine detail, which the nearest mouth has: so means are made at half the resolution.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.bank import Neighbours, halved
from mytalk.appearance.colour_match import Rim, alike
from mytalk.appearance.network_inputs import WarpedMouth
from mytalk.appearance.warp import COARSE, Target

MOST = 12
"""Mouths that a mean is made of."""

_SIGMAS = (1.5, 0.7)
"""Of the Gaussians over distances of mouths that make the widest and the narrowest mean, crop pixels."""


def likely(nearest: WarpedMouth, around: Neighbours, goal: Target, rim: Rim, count: int) -> NDArray[np.float32]:
    """``count`` pictures of the wanted mouth in the current frame's light, likeliest first, ``(count, S, S, 3)``.

    Means from wide to narrow, with the fine detail of the nearest mouth; the last is that mouth alone. What of its
    inside is drawn or in the dark stays so.
    """
    seen = nearest.lit
    out = np.empty((count, *seen.shape), np.float32)
    out[:] = seen
    if count == 1 or len(around) == 1:
        return out
    coarse = halved(seen)
    for one, mean in zip(out, means(around, goal, count - 1), strict=False):  # the last stays
        difference = cv2.resize(mean + rim.correction(mean) - coarse, seen.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        one += difference if nearest.kept is None else difference * alike(nearest.kept)
    return out


def means(around: Neighbours, goal: Target, count: int) -> NDArray[np.float32]:
    """Means of the mouths around, bent to the goal at half the resolution, wide to narrow, ``(count, 64, 64, 3)``."""
    flows = goal.coarse_flows(around.points)
    flows[..., 1] += COARSE * np.arange(len(flows), dtype=np.float32)[:, None, None]
    # One above the other, and so one call. Where two meet their rims mix, which no painted pixel comes from.
    bent = cv2.remap(around.halves.reshape(-1, COARSE, 3), flows.reshape(-1, COARSE, 2), None, cv2.INTER_LINEAR)
    widest, narrowest = _SIGMAS
    sigma = widest * (narrowest / widest) ** (np.arange(count)[:, None] / max(count - 1, 1))
    shares = np.exp((around.apart[0] ** 2 - around.apart**2) / (2 * sigma**2))
    shares /= shares.sum(axis=1, keepdims=True)
    mixed = shares.astype(np.float32) @ bent.reshape(len(flows), -1).astype(np.float32)
    return np.asarray(mixed.reshape(count, COARSE, COARSE, 3), np.float32)
