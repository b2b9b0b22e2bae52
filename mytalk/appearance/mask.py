"""Computes which pixels may change: the mouth region, the part of it that is painted, and the skin that may move."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.compiled import Real, compiled
from mytalk.appearance.fill import Field, blur
from mytalk.appearance.mesh import Points
from mytalk.appearance.warp import Flow, rows_of
from mytalk.face.landmarks import LOWER_FACE, LOWER_LIPS_OUTER
from mytalk.face.pose import CROP_PIXELS

Mask = NDArray[np.float32]  # (128, 128) in 0..1

ERODE = 5.0  # crop pixels from the convex hull to the mask
FEATHER = 2.5  # Gaussian sigma, crop pixels
FEATHER_CUT = 0.01  # share of a feathered mask below which it is 0, and as far below 1 from which it is 1
SKIN_MARGIN = 9.0  # crop pixels past jaw and cheeks that skin and background may follow
SKIN_FEATHER = 4.0  # half the width over which they follow less, crop pixels
PAINTED_DISTANCE = 3.0  # distance from the lips, crop pixels, up to which all is painted
UNPAINTED_DISTANCE = 8.0  # and from which on nothing is
STILL_FLOW = 1.0  # flow of skin, crop pixels, up to which the picture's own stays
MOVED_FLOW = 4.0  # and from which on all is painted
FLOW_BLUR = 3.0  # Gaussian sigma, crop pixels

# From the nose base over the cheeks to the chin, just inside the jaw line.
_OUTLINE = (97, 2, 326, 426, 436, 432, 430, 395, 369, 396, 175, 171, 140, 170, 210, 212, 216, 206)
REGION = np.array([LOWER_FACE.index(i) for i in _OUTLINE])
LIPS = np.array(LOWER_LIPS_OUTER)
_ANGLES = np.arange(64) * (2 * np.pi / 64)
DIRECTIONS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1).astype(np.float32)
"""Normals of the lines that a convex hull is bounded by, ``(64, 2)``."""

_LAST = np.float32(CROP_PIXELS - 1)
_ROOT_HALF = np.float32(math.sqrt(0.5))


@compiled
def mouth_mask(points: Points) -> Mask:
    """Masks the mouth region of ``(169, 2)`` landmarks: convex hull from nose base to chin, eroded and feathered.

    As if blurred by a Gaussian: inward as much as outward, and 0 at the crop's border.
    """
    mask = _depth_in_hull(rows_of(points, REGION), -ERODE)
    for y in range(CROP_PIXELS):
        for x in range(CROP_PIXELS):
            depth = mask[y, x] * np.float32(1 / FEATHER)
            feathered = np.float32(0)
            if depth > 3:
                feathered = np.float32(1)
            elif depth > -3:
                feathered = np.float32(0.5) * (1 + np.float32(math.erf(depth * _ROOT_HALF)))
            feathered = (feathered - np.float32(FEATHER_CUT)) / np.float32(1 - 2 * FEATHER_CUT)
            mask[y, x] = min(max(feathered, np.float32(0)), np.float32(1))
    for i in range(CROP_PIXELS):
        mask[0, i], mask[CROP_PIXELS - 1, i], mask[i, 0], mask[i, CROP_PIXELS - 1] = 0, 0, 0, 0
    return mask


@compiled
def moving_mask(source: Points, target: Points) -> Mask:
    """Masks where the current frame's own skin may follow the landmarks: the whole lower face, 0 at the crop's
    border."""
    both = np.empty((2 * len(source), 2), np.float32)
    for i in range(len(source)):
        for axis in range(2):
            both[i, axis], both[len(source) + i, axis] = source[i, axis], target[i, axis]
    mask = _depth_in_hull(both, SKIN_MARGIN)
    for y in range(CROP_PIXELS):
        to_edge = min(np.float32(y), _LAST - np.float32(y))
        for x in range(CROP_PIXELS):
            depth = min(mask[y, x], to_edge, np.float32(x), _LAST - np.float32(x))
            mask[y, x] = _ramp(depth * np.float32(1 / (2 * SKIN_FEATHER)))
    return mask


@compiled
def _depth_in_hull(points: Points, grow: Real) -> Field:
    """Measures how deep each pixel lies in the convex hull of ``points``, grown by ``grow``, crop pixels.

    The hull is taken as bounded by lines in 64 directions, each at the distance of the farthest point.
    """
    depth = np.empty((CROP_PIXELS, CROP_PIXELS), np.float32)
    for k in range(len(DIRECTIONS)):
        across, down = DIRECTIONS[k, 0], DIRECTIONS[k, 1]
        farthest = np.float32(-1e6)
        for i in range(len(points)):
            farthest = max(farthest, points[i, 0] * across + points[i, 1] * down)
        farthest += np.float32(grow)
        for y in range(CROP_PIXELS):
            limit = farthest - np.float32(y) * down
            for x in range(CROP_PIXELS):
                away = limit - np.float32(x) * across
                depth[y, x] = away if k == 0 else min(depth[y, x], away)
    return depth


@compiled
def painted_mask(region: Mask, points: Points, flow: Flow, moves: bool) -> Mask:
    """Masks the part of the mouth ``region`` that is painted: the lips and between them always, other skin where it
    moves.

    Skin that moves by ``flow`` is lit and folded differently. ``points`` are the wanted landmarks; ``moves`` False:
    skin does not move.
    """
    share = _distance_from(rows_of(points, LIPS), UNPAINTED_DISTANCE)
    for y in range(CROP_PIXELS):
        for x in range(CROP_PIXELS):
            away = np.float32(UNPAINTED_DISTANCE) - share[y, x]
            share[y, x] = _ramp(away * np.float32(1 / (UNPAINTED_DISTANCE - PAINTED_DISTANCE)))
    if moves:
        moved = np.empty((CROP_PIXELS, CROP_PIXELS), np.float32)
        for y in range(CROP_PIXELS):
            for x in range(CROP_PIXELS):
                across, down = flow[y, x, 0] - np.float32(x), flow[y, x, 1] - np.float32(y)
                moved[y, x] = np.sqrt(across * across + down * down)
        moved = blur(moved, FLOW_BLUR, 1)
        for y in range(CROP_PIXELS):
            for x in range(CROP_PIXELS):
                length = (moved[y, x] - np.float32(STILL_FLOW)) * np.float32(1 / (MOVED_FLOW - STILL_FLOW))
                share[y, x] = max(share[y, x], _ramp(length))
    for y in range(CROP_PIXELS):
        for x in range(CROP_PIXELS):
            share[y, x] *= region[y, x]
    return share


@compiled
def _distance_from(polygon: Points, reach: Real) -> Field:
    """Measures how far each pixel is outside a polygon, ``reach`` at most; 0 within."""
    far = np.full((CROP_PIXELS, CROP_PIXELS), np.float32(reach * reach))
    crossings = np.zeros((CROP_PIXELS, CROP_PIXELS), np.int8)  # how often the outline is met going right from here
    for i in range(len(polygon)):
        j = i + 1 if i + 1 < len(polygon) else 0
        ax, ay = polygon[i, 0], polygon[i, 1]
        dx, dy = polygon[j, 0] - ax, polygon[j, 1] - ay
        share = 1 / max(dx * dx + dy * dy, np.float32(1e-6))
        left, right = max(int(min(ax, ax + dx) - reach), 0), min(int(max(ax, ax + dx) + reach) + 2, CROP_PIXELS)
        top, bottom = max(int(min(ay, ay + dy) - reach), 0), min(int(max(ay, ay + dy) + reach) + 2, CROP_PIXELS)
        for y in range(top, bottom):
            down = np.float32(y) - ay
            for x in range(left, right):
                across = np.float32(x) - ax
                along = min(max((across * dx + down * dy) * share, np.float32(0)), np.float32(1))
                px, py = across - along * dx, down - along * dy
                far[y, x] = min(far[y, x], px * px + py * py)
            if (down >= 0) != (down - dy >= 0):
                for x in range(min(max(int(np.ceil(ax + down / dy * dx)), 0), CROP_PIXELS)):
                    crossings[y, x] += 1
    for y in range(CROP_PIXELS):
        for x in range(CROP_PIXELS):
            far[y, x] = np.float32(0) if crossings[y, x] % 2 else np.sqrt(far[y, x])
    return far


@compiled
def _ramp(value: Real) -> Real:
    """Maps values to 0 below 0 and 1 above 1, smoothly between."""
    share = min(max(value, np.float32(0)), np.float32(1))
    return share * share * (np.float32(3) - np.float32(2) * share)
