"""Which pixels may change: the mouth region that is painted anew, and the wider one whose skin may move."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.warp import Points
from mytalk.face.landmarks import LOWER_FACE
from mytalk.face.pose import CROP_PIXELS

Mask = NDArray[np.float32]  # (128, 128) in 0..1

_ERODE = 5  # crop pixels from hull to mask
_FEATHER = 2.5  # Gaussian sigma, crop pixels
_REACH = 9  # how far past jaw and cheeks skin and background may follow, crop pixels
_REACH_FEATHER = 4.0

# From the nose base over the cheeks to the chin, just inside the jaw line.
_OUTLINE = (97, 2, 326, 426, 436, 432, 430, 395, 369, 396, 175, 171, 140, 170, 210, 212, 216, 206)
_REGION = np.array([LOWER_FACE.index(i) for i in _OUTLINE])


def mouth_mask(points: Points) -> Mask:
    """The mouth region of ``(169, 2)`` landmarks: convex hull from nose base to chin, eroded and feathered."""
    hull = _hull(points[_REGION], -_ERODE)
    return _soft(hull, _FEATHER)


def moving_mask(source: Points, target: Points) -> Mask:
    """Where the current frame's own skin may follow the landmarks: around the whole lower face, 0 at the crop's rim."""
    hull = _hull(np.concatenate([source, target]), _REACH)
    hull[:1], hull[-1:], hull[:, :1], hull[:, -1:] = 0, 0, 0, 0
    distance = cv2.distanceTransform(hull, cv2.DIST_L2, 3)
    ramp = np.clip(distance / (2 * _REACH_FEATHER), 0.0, 1.0)
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
