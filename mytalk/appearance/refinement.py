"""Adds to the nearest mouth what the mean of others, and a network, know better: all but its detail."""

from __future__ import annotations

import numpy as np

from mytalk.appearance.compiled import compiled
from mytalk.appearance.fill import Field, blur
from mytalk.appearance.sampling import Colours

REFINEMENT_BLUR = 1.2  # Gaussian sigma, crop pixels: pores and lip lines stay those of the nearest mouth
INTERIOR_BLUR = 2.5  # the same between the lips, where edges of teeth stay too
MAX_INTERIOR_GAIN = 0.5  # greatest change of lightness between the lips, as a share of it
GAIN_OFFSET = 20.0  # added to lightness 0..255 before dividing by it, for dark pixels


@compiled
def without_detail(change: Colours, base: Colours, interior: Field) -> Colours:
    """Removes from ``change`` the detail that the mouth ``base`` has; ``interior`` ``(H, W)``: between the lips.

    There a mean, or the network, blurs what differs: teeth, cavity and lips. It is used for lightness alone, as a gain:
    what is dark stays dark, and teeth stay as white as they are.
    """
    height, width, _ = change.shape
    skin = blur(change.reshape(height, 3 * width), REFINEMENT_BLUR, 3).reshape(height, width, 3)
    lighter, light = blur(_grey(change), INTERIOR_BLUR, 1), blur(_grey(base), INTERIOR_BLUR, 1)
    limit = np.float32(MAX_INTERIOR_GAIN)
    for y in range(height):
        for x in range(width):
            gain = lighter[y, x] / (max(light[y, x], np.float32(0)) + np.float32(GAIN_OFFSET))
            gain = min(max(gain, -limit), limit)
            for c in range(3):
                skin[y, x, c] += interior[y, x] * (gain * base[y, x, c] - skin[y, x, c])
    return skin


@compiled
def _grey(colours: Colours) -> Field:
    grey = np.empty(colours.shape[:2], np.float32)
    for y in range(colours.shape[0]):
        for x in range(colours.shape[1]):
            grey[y, x] = (colours[y, x, 0] + colours[y, x, 1] + colours[y, x, 2]) * np.float32(1 / 3)
    return grey
