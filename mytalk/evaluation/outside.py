"""Measures what changes outside the mouth: nothing should.

Outside is every pixel beyond the mouth crop (canonical x -0.8..0.8, y 0.55..2.15: nose base to below an open jaw, as it
lies in the filmed frame) and within the face's box grown by half its size on each side, so that a small change beside
a small face in a large picture is not averaged away. Luma only, levels 0..255.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.evaluation.moment import Measure, Moment
from mytalk.face import Face, HeadPose
from mytalk.face.pose import CROP_PIXELS
from mytalk.picture import Picture

_MARGIN = 2  # pixels around the crop that resampling may touch


class Outside(Measure):
    """Measures flicker (change from frame to frame that the film does not have) and difference from the film."""

    def __init__(self) -> None:
        self._flicker: list[float] = []
        self._difference: list[float] = []
        self._untouched: list[bool] = []
        self._before: NDArray[np.int16] | None = None

    def push(self, moment: Moment) -> None:
        if moment.face is None or moment.pose is None or not moment.same_size:
            self._before = None
            return
        difference = moment.generated.y.astype(np.int16) - moment.true.y
        rows, columns, away = region(moment.true, moment.face, moment.pose)
        here = difference[rows, columns][away]
        self._difference.append(float(np.abs(here).mean()) if here.size else 0.0)
        self._untouched.append(not here.any())
        if self._before is not None and self._before.shape == difference.shape and here.size:
            moved = (difference - self._before)[rows, columns][away]
            self._flicker.append(float(np.abs(moved).mean()))
        self._before = difference

    def scores(self) -> dict[str, float]:
        if not self._difference:
            return {}
        return {
            "outside_flicker": float(np.mean(self._flicker)) if self._flicker else float("nan"),
            "outside_difference": float(np.mean(self._difference)),
            "untouched": float(np.mean(self._untouched)),
        }


def region(picture: Picture, face: Face, pose: HeadPose) -> tuple[slice, slice, NDArray[np.bool_]]:
    """Returns the grown box of the face as rows and columns, and which of its pixels are outside the mouth crop."""
    x0, y0, x1, y1 = face.box
    half_x, half_y = (x1 - x0) / 2, (y1 - y0) / 2
    rows = slice(max(0, int(y0 - half_y)), min(picture.height, int(y1 + half_y) + 1))
    columns = slice(max(0, int(x0 - half_x)), min(picture.width, int(x1 + half_x) + 1))
    to_picture = cv2.invertAffineTransform(pose.crop_matrix())
    corners = np.array([[0, 0], [CROP_PIXELS, 0], [CROP_PIXELS, CROP_PIXELS], [0, CROP_PIXELS]], np.float32) - 0.5
    quad = corners @ to_picture[:, :2].T + to_picture[:, 2] - (columns.start, rows.start)
    inside = np.zeros((max(0, rows.stop - rows.start), max(0, columns.stop - columns.start)), np.uint8)
    cv2.fillConvexPoly(inside, np.rint(quad).astype(np.int32), 1)
    grown = cv2.dilate(inside, np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), np.uint8))
    return rows, columns, grown == 0
