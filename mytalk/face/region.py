"""Samples a turned square of a picture, as MediaPipe samples what its networks look at."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.picture import Box, Picture


@dataclass(frozen=True, slots=True)
class Region:
    """Holds a square in a picture: its middle and side in pixels, and its turn in radians, clockwise as seen."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def around(
        cls,
        box: tuple[float, float, float, float],
        left: NDArray[np.float32],
        right: NDArray[np.float32],
        scale: float,
    ) -> Region:
        """Returns the square around a box (left, top, right, bottom), ``scale`` times its longer side.

        It is turned as the line from ``left`` to ``right``, which are the picture's ends of a face's eyes.
        """
        x0, y0, x1, y1 = box
        angle = math.atan2(right[1] - left[1], right[0] - left[0])
        return cls((x0 + x1) / 2, (y0 + y1) / 2, scale * max(x1 - x0, y1 - y0), angle)

    def matrix(self) -> NDArray[np.float64]:
        """Returns the affine ``(2, 3)`` from shares of the square's sides, from its upper left corner, to pixels."""
        cos, sin = self.side * math.cos(self.angle), self.side * math.sin(self.angle)
        return np.array([[cos, -sin, self.x - (cos - sin) / 2], [sin, cos, self.y - (sin + cos) / 2]])

    def to_picture(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Maps ``(..., 2)`` shares of the square's sides to pixels."""
        matrix = self.matrix()
        return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)

    def overlap(self, other: Region) -> float:
        """Returns the intersection over union of both squares, as if neither were turned."""
        reach = (self.side + other.side) / 2
        width, height = (
            min(max(0.0, reach - abs(one)), self.side, other.side) for one in (self.x - other.x, self.y - other.y)
        )
        return width * height / (self.side**2 + other.side**2 - width * height)


def sample_rgb(
    picture: Picture, region: Region, pixels: int, coarsest: float, *, black_outside: bool = False
) -> NDArray[np.uint8]:
    """Samples a region as RGB ``(pixels, pixels, 3)``, bilinear; pixel n lies at n / pixels of the side.

    Where a pixel is more than ``coarsest`` of the picture's, the picture is averaged down by a whole number first.
    Outside the picture its edge goes on, or it is black.
    """
    matrix = np.vstack([region.matrix(), [0, 0, 1]])
    matrix[:2, :2] /= pixels
    shrink = math.ceil(region.side / pixels / coarsest)
    box = _box_around(matrix, pixels, picture, 2 * shrink)
    width, height = box[2] - box[0], box[3] - box[1]
    size = (max(1, width // shrink), max(1, height // shrink))
    rgb = picture.region_rgb(box, size)
    for axis, scale in enumerate((size[0] / width, size[1] / height)):
        matrix[axis] *= scale
        matrix[axis, 2] += (0.5 - box[axis]) * scale - 0.5
    mode = cv2.BORDER_CONSTANT if black_outside else cv2.BORDER_REPLICATE
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpPerspective(rgb, matrix, (pixels, pixels), flags=flags, borderMode=mode), np.uint8)


def _box_around(matrix: NDArray[np.float64], pixels: int, picture: Picture, unit: int) -> Box:
    """Returns the even box of the picture that holds all that is sampled; at least 2 x 2 pixels.

    Its sides are whole ``unit`` s where the picture is large enough: averaging whole numbers of pixels is much faster.
    """
    corners = matrix[:2] @ np.array([[0, pixels, 0, pixels], [0, 0, pixels, pixels], [1, 1, 1, 1]])
    low, high = np.floor(corners.min(axis=1)) - 1, np.ceil(corners.max(axis=1)) + 2
    most = np.array([picture.width, picture.height])
    x0, y0 = np.clip(low, 0, most - 2).astype(int).tolist()
    x1, y1 = np.clip(high, (x0 + 2, y0 + 2), most).astype(int).tolist()
    x0, y0, x1, y1 = picture.even_box((x0, y0, x1, y1))
    return (x0, y0, _end(x0, x1, picture.width, unit), _end(y0, y1, picture.height, unit))


def _end(start: int, end: int, length: int, unit: int) -> int:
    """Moves the end of a span to whole units: outwards, or inwards at the picture's end; an end that cannot stays."""
    units = min(-(-(end - start) // unit), (length - start) // unit)
    return start + units * unit if units else end
