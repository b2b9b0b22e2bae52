"""Landmarks drawn as a picture, which the landmark encoder reads (``x^m`` in MyTalk, section 3.4)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.warp import SUBPIXEL, Points, fixed
from mytalk.face.landmarks import JAW, LOWER_FACE, LOWER_LIPS_INNER, LOWER_LIPS_OUTER
from mytalk.face.pose import CROP_PIXELS

_JAW = np.array([LOWER_FACE.index(i) for i in JAW if i in LOWER_FACE])
_OUTER, _INNER = np.array(LOWER_LIPS_OUTER), np.array(LOWER_LIPS_INNER)


def landmark_picture(points: Points, size: int = CROP_PIXELS) -> NDArray[np.uint8]:
    """Draws ``(169, 2)`` crop-pixel landmarks as ``(size, size, 3)``: lips, inside of the mouth, jaw line.

    Areas are filled and outlined, so that a closed mouth still shows as a line.
    """
    scaled = (points + 0.5) * (size / CROP_PIXELS) - 0.5
    picture = np.zeros((3, size, size), np.uint8)
    for channel, loop in ((0, _OUTER), (1, _INNER)):
        polygon = [fixed(scaled[loop])]
        cv2.fillPoly(picture[channel], polygon, 255, cv2.LINE_AA, SUBPIXEL)
        cv2.polylines(picture[channel], polygon, True, 255, 1, cv2.LINE_AA, SUBPIXEL)
    cv2.polylines(picture[2], [fixed(scaled[_JAW])], False, 255, 1, cv2.LINE_AA, SUBPIXEL)
    return np.ascontiguousarray(picture.transpose(1, 2, 0))
