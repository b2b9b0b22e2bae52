"""Finds where the mouth crop, or the whole face around it, lies in a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.crop_frame import MOUTH, CropFrame
from mytalk.appearance.sampling import Matrix
from mytalk.picture import Box, Picture


@dataclass(frozen=True, slots=True)
class Placement:
    """Says where a square around the mouth lies in a picture."""

    box: Box
    to_crop: Matrix  # (2, 3): pixels of the box -> pixels of the 128 crop
    to_pixels: Matrix  # (2, 3): pixels of the 128 crop -> pixels of the box

    @property
    def size(self) -> tuple[int, int]:
        """Returns width and height of the box, pixels."""
        return self.box[2] - self.box[0], self.box[3] - self.box[1]


def placement_of(picture: Picture, to_crop: Matrix, frame: CropFrame = MOUTH) -> Placement | None:
    """Finds the box around ``frame``. None: not in the picture.

    ``to_crop`` takes picture pixels to crop pixels.
    """
    x, y, side = frame.left, frame.top, frame.side
    corners = np.array([[x, y], [x + side, y], [x, y + side], [x + side, y + side]], np.float32) - 0.5
    to_picture = cv2.invertAffineTransform(to_crop)
    placed = apply_affine(to_picture, corners)
    low, high = np.floor(placed.min(axis=0)), np.ceil(placed.max(axis=0))
    box = picture.even_box((int(low[0]), int(low[1]), int(high[0]) + 1, int(high[1]) + 1))
    if box[2] - box[0] < 2 or box[3] - box[1] < 2:
        return None
    to_crop, to_picture = to_crop.copy(), to_picture.astype(np.float32)
    to_crop[:, 2] += to_crop[:, :2] @ np.array(box[:2], np.float32)
    to_picture[:, 2] -= np.array(box[:2], np.float32)
    return Placement(box, to_crop, to_picture)


def apply_affine(matrix: Matrix, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Applies an affine ``(2, 3)`` to points ``(..., 2)``."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)
