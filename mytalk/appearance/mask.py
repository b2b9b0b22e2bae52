"""Computes which pixels may change: the mouth region, the part of it that is painted, and the skin that may move."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.warp import SUBPIXEL, Flow, Points, flow_length, to_fixed_point
from mytalk.face.landmarks import LOWER_FACE, LOWER_LIPS_OUTER
from mytalk.face.pose import CROP_PIXELS
from mytalk.smoothstep import smoothstep

Mask = NDArray[np.float32]  # (128, 128) in 0..1

_ERODE = 5  # crop pixels from the convex hull to the mask
_FEATHER = 2.5  # Gaussian sigma, crop pixels
_SKIN_MARGIN = 9  # crop pixels past jaw and cheeks that skin and background may follow
_SKIN_FEATHER = 4.0  # half the width over which they follow less, crop pixels
_PAINTED_DISTANCE = 3.0  # distance from the lips, crop pixels, up to which all is painted
_UNPAINTED_DISTANCE = 8.0  # and from which on nothing is
_STILL_FLOW = 1.0  # flow of skin, crop pixels, up to which the picture's own stays
_MOVED_FLOW = 4.0  # and from which on all is painted
_FLOW_BLUR = 3.0  # Gaussian sigma, crop pixels

# From the nose base over the cheeks to the chin, just inside the jaw line.
_OUTLINE = (97, 2, 326, 426, 436, 432, 430, 395, 369, 396, 175, 171, 140, 170, 210, 212, 216, 206)
_REGION = np.array([LOWER_FACE.index(i) for i in _OUTLINE])
_LIPS = np.array(LOWER_LIPS_OUTER)


def mouth_mask(points: Points) -> Mask:
    """Masks the mouth region of ``(169, 2)`` landmarks: convex hull from nose base to chin, eroded and feathered."""
    hull = _hull(points[_REGION], -_ERODE)
    return _feathered(hull, _FEATHER)


def painted_mask(region: Mask, points: Points, flow: Flow | None) -> Mask:
    """Masks the part of the mouth ``region`` that is painted: the lips and between them always, other skin where it
    moves.

    Skin that moves by ``flow`` is lit and folded differently. ``points`` are the wanted landmarks; ``flow`` None: skin
    does not move.
    """
    lips = np.full((CROP_PIXELS, CROP_PIXELS), 255, np.uint8)
    cv2.fillPoly(lips, [to_fixed_point(points[_LIPS])], 0, cv2.LINE_8, SUBPIXEL)
    away = cv2.distanceTransform(lips, cv2.DIST_L2, 3)
    share = _ramp((_UNPAINTED_DISTANCE - away) / (_UNPAINTED_DISTANCE - _PAINTED_DISTANCE))
    if flow is not None:
        moved = cv2.GaussianBlur(flow_length(flow), (0, 0), _FLOW_BLUR)
        share = np.maximum(share, _ramp((moved - _STILL_FLOW) / (_MOVED_FLOW - _STILL_FLOW)))
    return region * share


def moving_mask(source: Points, target: Points) -> Mask:
    """Masks where the current frame's own skin may follow the landmarks: the whole lower face, 0 at the crop's
    border."""
    hull = _hull(np.concatenate([source, target]), _SKIN_MARGIN)
    hull[:1], hull[-1:], hull[:, :1], hull[:, -1:] = 0, 0, 0, 0
    distance = cv2.distanceTransform(hull, cv2.DIST_L2, 3)
    return _ramp(distance / (2 * _SKIN_FEATHER))


def _ramp(values: Mask) -> Mask:
    """Maps values to 0 below 0 and 1 above 1, smoothly between."""
    return np.asarray(smoothstep(np.clip(values, 0.0, 1.0)), np.float32)


def _hull(points: Points, grow: int) -> NDArray[np.uint8]:
    canvas = np.zeros((CROP_PIXELS, CROP_PIXELS), np.uint8)
    cv2.fillConvexPoly(canvas, cv2.convexHull(np.rint(points).astype(np.int32)), 255, cv2.LINE_AA)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(grow) + 1, 2 * abs(grow) + 1))
    return np.asarray(cv2.dilate(canvas, kernel) if grow > 0 else cv2.erode(canvas, kernel), np.uint8)


def _feathered(hull: NDArray[np.uint8], sigma: float) -> Mask:
    """Feathers a mask inward as much as outward; exactly 0 from 3 sigma on, and at the crop's border."""
    feathered = cv2.GaussianBlur(hull.astype(np.float32) / 255, (0, 0), sigma)
    feathered = np.clip((feathered - 0.01) / 0.98, 0.0, 1.0)
    feathered[:1], feathered[-1:], feathered[:, :1], feathered[:, -1:] = 0, 0, 0, 0
    return np.asarray(feathered, np.float32)
