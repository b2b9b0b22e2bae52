"""Draws the inside of a mouth that no reference shows: dark, with upper teeth and a hint of tongue.

Teeth are those of an adult (central incisor 8.5 mm wide, lateral 6.5 mm, canine 7.5 mm) at 63 mm between the eyes, and
move with the skull, not with the jaw.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.compiled import Real, compiled
from mytalk.appearance.fill import Field, add_coverage, blur
from mytalk.appearance.mesh import LOWER_LIP, UPPER_LIP, Points
from mytalk.appearance.sampling import Colours
from mytalk.appearance.warp import rows_of
from mytalk.face.pose import CROP_PIXELS, CROP_SIDE

MILLIMETRE = CROP_PIXELS / CROP_SIDE / 63  # crop pixels
TEETH_HEIGHT = 5.0 * MILLIMETRE  # crop pixels of the incisors that speech uncovers at most
TEETH_SHARE = 0.55  # share of the gap that they fill at most
_TO_GAPS = np.array([0.0, 8.5, 15.0, 22.5]) * MILLIMETRE
TOOTH_GAPS = np.concatenate([_TO_GAPS, -_TO_GAPS[1:]]).astype(np.float32)
"""Crop pixels from the midline to the gaps between teeth."""

CAVITY_COLOUR = np.array([0.17, 0.09, 0.09], np.float32)  # shares of the skin's colour
TONGUE_COLOUR = np.array([0.36, 0.17, 0.17], np.float32)  # shares of the skin's colour
TONGUE_TOP = 0.62  # share of the gap, from the upper lip, at which the tongue begins
TONGUE_BEYOND = 6.0  # crop pixels that the tongue goes on under the lower lip, so that no dark line shows along it
TEETH_LIGHTNESS = 1.0  # lightness of teeth / the skin's, before the shade of lip and corners
TEETH_TINT = 0.6  # share of the skin's colour cast that teeth take
SHADOW_REACH = 0.3  # share of a tooth's shown height that the lip's shadow reaches down
SHADOW = 0.45  # share of its light that a tooth loses there
GAP_SHADE = 0.35  # share of its light that a tooth loses beside a gap
CORNER_LIGHT = 1.05  # light of the teeth in the middle, before it falls with the square of the way to a corner
GAP_LINE = (-6.0, 12.0)  # crop pixels along a gap, from the upper lip, between which it is drawn
TONGUE_BLUR, TEETH_BLUR, SHADOW_BLUR, GAP_BLUR = 2.5, 0.7, 1.0, 0.6  # Gaussian sigmas, crop pixels
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@compiled
def interior_colours(points: Points, skin: NDArray[np.float32]) -> Colours:
    """Returns the colours of the inside of a mouth with landmarks ``points``, of a person whose skin is ``skin``,
    0..255."""
    upper, lower = rows_of(points, UPPER_LIP), rows_of(points, LOWER_LIP)
    top, beyond = upper.copy(), lower.copy()
    for i in range(len(upper)):
        for axis in range(2):
            top[i, axis] += np.float32(TONGUE_TOP) * (lower[i, axis] - upper[i, axis])
        beyond[i, 1] += np.float32(TONGUE_BEYOND)
    tongue, teeth = _filled(top, beyond, TONGUE_BLUR), _teeth(upper, lower)
    light = LUMA[0] * skin[0] + LUMA[1] * skin[1] + LUMA[2] * skin[2]
    out = np.empty((CROP_PIXELS, CROP_PIXELS, 3), np.float32)
    for c in range(3):
        ivory = np.float32(TEETH_LIGHTNESS) * (light + np.float32(TEETH_TINT) * (skin[c] - light))
        dark, flesh = skin[c] * CAVITY_COLOUR[c], skin[c] * TONGUE_COLOUR[c]
        for y in range(CROP_PIXELS):
            for x in range(CROP_PIXELS):
                behind = dark + tongue[y, x] * (flesh - dark)
                out[y, x, c] = behind + teeth[y, x] * (ivory - behind)
    return out


@compiled
def _teeth(upper: Points, lower: Points) -> Field:
    """Returns how much of a tooth each pixel shows, 0..1: less towards the corners and under the lip."""
    last, middle = len(upper) - 1, len(upper) // 2
    across, down = upper[last, 0] - upper[0, 0], upper[last, 1] - upper[0, 1]
    width = max(np.hypot(across, down), np.float32(1e-3))
    across, down = across / width, down / width
    above, edge, dim = upper.copy(), upper.copy(), upper.copy()
    for i in range(len(upper)):
        share = np.float32(2 * i / last - 1)
        gap_x, gap_y = lower[i, 0] - upper[i, 0], lower[i, 1] - upper[i, 1]
        length = np.hypot(gap_x, gap_y)
        shown = min(np.float32(TEETH_SHARE) * length, np.float32(TEETH_HEIGHT)) * (1 - abs(share * share * share))
        edge[i, 0] += shown / max(length, np.float32(1e-3)) * gap_x
        edge[i, 1] += shown / max(length, np.float32(1e-3)) * gap_y
        dim[i, 0] -= np.float32(SHADOW_REACH) * shown * down
        dim[i, 1] += np.float32(SHADOW_REACH) * shown * across
        above[i, 0], above[i, 1] = above[i, 0] - 1, above[i, 1] - 1
    band, shadow = _filled(above, edge, TEETH_BLUR), _filled(above, dim, SHADOW_BLUR)
    gaps = _tooth_gaps(upper[middle, 0], upper[middle, 1], across, down)
    half = max(width / 2, np.float32(1))
    for y in range(CROP_PIXELS):
        for x in range(CROP_PIXELS):
            off = (np.float32(x) - upper[middle, 0]) / half
            corner = min(max(np.float32(CORNER_LIGHT) - off * off, np.float32(0)), np.float32(1))
            band[y, x] *= corner * (1 - np.float32(GAP_SHADE) * gaps[y, x]) * (1 - np.float32(SHADOW) * shadow[y, x])
    return band


@compiled
def _tooth_gaps(x: Real, y: Real, across: Real, down: Real) -> Field:
    """Draws the lines between teeth, from the upper lip's middle and along its direction, as soft as a filmed one."""
    canvas, quad = np.zeros((CROP_PIXELS, CROP_PIXELS), np.float32), np.empty((4, 2), np.float32)
    for offset in TOOTH_GAPS:
        for k in range(4):
            aside = offset + np.float32(0.5 if k == 1 or k == 2 else -0.5)
            along = np.float32(GAP_LINE[0] if k < 2 else GAP_LINE[1])
            quad[k, 0] = x + aside * across - along * down
            quad[k, 1] = y + aside * down + along * across
        add_coverage(canvas, quad, 1.0)
    return blur(canvas, GAP_BLUR, 1)


@compiled
def _filled(above: Points, below: Points, sigma: Real) -> Field:
    """Fills the area between two lines of equally many points, its outline blurred by ``sigma`` crop pixels."""
    count, canvas = len(above), np.zeros((CROP_PIXELS, CROP_PIXELS), np.float32)
    outline = np.empty((2 * count, 2), np.float32)
    for i in range(count):
        for axis in range(2):
            outline[i, axis], outline[count + i, axis] = above[i, axis], below[count - 1 - i, axis]
    add_coverage(canvas, outline, 1.0)
    return blur(canvas, sigma, 1)
