"""Which pixels may change: the mouth region that may be painted anew, how much of it is, and the wider one whose skin
may move.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.warp import SUBPIXEL, Flow, Points, fixed, way
from mytalk.face.landmarks import LOWER_FACE, LOWER_LIPS_OUTER
from mytalk.face.pose import CROP_PIXELS

Mask = NDArray[np.float32]  # (128, 128) in 0..1

_ERODE = 5  # crop pixels from hull to mask
_FEATHER = 2.5  # Gaussian sigma, crop pixels
_REACH = 9  # how far past jaw and cheeks skin and background may follow, crop pixels
_REACH_FEATHER = 4.0
_AT_LIPS, _OFF_LIPS = 3.0, 8.0  # distances from the lips, crop pixels, up to which all is painted, and from which none
_STILL, _MOVED = 1.0, 4.0  # ways of the skin, crop pixels, up to which the picture's own stays, and from which none
_WAY_BLUR = 3.0  # Gaussian sigma, crop pixels

# From the nose base over the cheeks to the chin, just inside the jaw line.
_OUTLINE = (97, 2, 326, 426, 436, 432, 430, 395, 369, 396, 175, 171, 140, 170, 210, 212, 216, 206)
_REGION = np.array([LOWER_FACE.index(i) for i in _OUTLINE])
_LIPS = np.array(LOWER_LIPS_OUTER)


def mouth_mask(points: Points) -> Mask:
    """The mouth region of ``(169, 2)`` landmarks: convex hull from nose base to chin, eroded and feathered."""
    hull = _hull(points[_REGION], -_ERODE)
    return _soft(hull, _FEATHER)


def painted_mask(region: Mask, points: Points, flow: Flow | None) -> Mask:
    """How much of the mouth ``region`` of wanted ``points`` is painted anew: the lips and what they hide always, skin
    beside them only where it moves by ``flow``, and so is lit and folded in another way. None: it moves nowhere.
    """
    lips = np.full((CROP_PIXELS, CROP_PIXELS), 255, np.uint8)
    cv2.fillPoly(lips, [fixed(points[_LIPS])], 0, cv2.LINE_8, SUBPIXEL)
    away = cv2.distanceTransform(lips, cv2.DIST_L2, 3)
    share = _ramp((_OFF_LIPS - away) / (_OFF_LIPS - _AT_LIPS))
    if flow is not None:
        moved = cv2.GaussianBlur(way(flow), (0, 0), _WAY_BLUR)
        share = np.maximum(share, _ramp((moved - _STILL) / (_MOVED - _STILL)))
    return region * share


def moving_mask(source: Points, target: Points) -> Mask:
    """Where the current frame's own skin may follow the landmarks: around the whole lower face, 0 at the crop's rim."""
    hull = _hull(np.concatenate([source, target]), _REACH)
    hull[:1], hull[-1:], hull[:, :1], hull[:, -1:] = 0, 0, 0, 0
    distance = cv2.distanceTransform(hull, cv2.DIST_L2, 3)
    return _ramp(distance / (2 * _REACH_FEATHER))


def _ramp(values: Mask) -> Mask:
    """0 up to 0, 1 from 1 on, smooth between."""
    ramp = np.clip(values, 0.0, 1.0)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)


def _hull(points: Points, grow: int) -> NDArray[np.uint8]:
    canvas = np.zeros((CROP_PIXELS, CROP_PIXELS), np.uint8)
    cv2.fillConvexPoly(canvas, cv2.convexHull(np.rint(points).astype(np.int32)), 255, cv2.LINE_AA)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(grow) + 1, 2 * abs(grow) + 1))
    return np.asarray(cv2.dilate(canvas, kernel) if grow > 0 else cv2.erode(canvas, kernel), np.uint8)


def _soft(hull: NDArray[np.uint8], sigma: float) -> Mask:
    """Feathers inward as much as outward; exactly 0 from 3 sigma on, and at the crop's rim."""
    soft = cv2.GaussianBlur(hull.astype(np.float32) / 255, (0, 0), sigma)
    soft = np.clip((soft - 0.01) / 0.98, 0.0, 1.0)
    soft[:1], soft[-1:], soft[:, :1], soft[:, -1:] = 0, 0, 0, 0
    return np.asarray(soft, np.float32)
