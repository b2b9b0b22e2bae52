"""Draws landmarks as the picture that the landmark encoder reads (``x^m`` in MyTalk, section 3.4)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.crop_frame import FACE
from mytalk.appearance.mesh import Points
from mytalk.face.landmarks import CONTOURS, JAW, LIPS_INNER, LIPS_OUTER, LOWER_FACE, LOWER_LIPS_INNER, LOWER_LIPS_OUTER
from mytalk.face.pose import CROP_PIXELS

_SUBPIXEL = 4  # fractional bits of polygon corners
_JAW = np.array([LOWER_FACE.index(i) for i in JAW if i in LOWER_FACE])
_OUTER, _INNER = np.array(LOWER_LIPS_OUTER), np.array(LOWER_LIPS_INNER)
_DOT = 0.8  # radius of a landmark in the face's picture, crop pixels


def landmark_picture(points: Points, size: int = CROP_PIXELS) -> NDArray[np.uint8]:
    """Draws ``(169, 2)`` crop-pixel landmarks as ``(size, size, 3)``: lips, inside of the mouth, jaw line.

    Areas are filled and outlined, so that a closed mouth still shows as a line.
    """
    scaled = (points + 0.5) * (size / CROP_PIXELS) - 0.5
    picture = np.zeros((3, size, size), np.uint8)
    _draw_mouth(picture, scaled[_OUTER], scaled[_INNER])
    cv2.polylines(picture[2], [_to_fixed_point(scaled[_JAW])], False, 255, 1, cv2.LINE_AA, _SUBPIXEL)
    return np.ascontiguousarray(picture.transpose(1, 2, 0))


def face_picture(points: Points, size: int = CROP_PIXELS) -> NDArray[np.uint8]:
    """Draws all ``(478, 2)`` crop-pixel landmarks over the whole face, ``(2 size, 2 size, 3)``.

    Lips and the inside of the mouth as ``landmark_picture`` has them; every landmark as a dot, joined along jaw, eyes,
    brows and nose.
    """
    scaled = (points + 0.5 - np.array([FACE.left, FACE.top], np.float32)) * (size / CROP_PIXELS) - 0.5
    side = FACE.pixels(size)
    picture = np.zeros((3, side, side), np.uint8)
    _draw_mouth(picture, scaled[list(LIPS_OUTER)], scaled[list(LIPS_INNER)])
    radius = max(1, round(_DOT * size / CROP_PIXELS * (1 << _SUBPIXEL)))
    for centre in _to_fixed_point(scaled).tolist():
        cv2.circle(picture[2], centre, radius, 160, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL)
    for line in (JAW, *CONTOURS):
        cv2.polylines(picture[2], [_to_fixed_point(scaled[list(line)])], False, 255, 1, cv2.LINE_AA, _SUBPIXEL)
    return np.ascontiguousarray(picture.transpose(1, 2, 0))


def _draw_mouth(picture: NDArray[np.uint8], outer: Points, inner: Points) -> None:
    for channel, loop in ((0, outer), (1, inner)):
        polygon = [_to_fixed_point(loop)]
        cv2.fillPoly(picture[channel], polygon, 255, cv2.LINE_AA, _SUBPIXEL)
        cv2.polylines(picture[channel], polygon, True, 255, 1, cv2.LINE_AA, _SUBPIXEL)


def _to_fixed_point(points: NDArray[np.floating[Any]]) -> NDArray[np.int32]:
    """Converts points to OpenCV's fixed-point drawing coordinates."""
    return np.asarray(np.rint(points * (1 << _SUBPIXEL)), np.int32)
