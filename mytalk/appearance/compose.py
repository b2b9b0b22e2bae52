"""Composes the mouth crop back into the picture, in the picture's own resolution.

The nearest mouth is sampled once, straight from the pixels it was seen in; only what is added to it, which is smooth or
small, is enlarged from the crop.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.bank import Mouth
from mytalk.appearance.colour_match import Colours, repeat_rgb
from mytalk.appearance.crop_frame import MOUTH, CropFrame
from mytalk.appearance.network_inputs import Matrix, affine_scale
from mytalk.appearance.warp import Flow
from mytalk.face.pose import CROP_PIXELS
from mytalk.picture import Box, Picture


@dataclass(frozen=True, slots=True)
class Placement:
    """Says where (part of) the mouth crop lies in a picture."""

    box: Box
    to_crop: Matrix  # (2, 3): pixels of the box -> pixels of the 128 crop
    to_pixels: Matrix  # (2, 3): pixels of the 128 crop -> pixels of the box

    @property
    def size(self) -> tuple[int, int]:
        """Returns width and height of the box, pixels."""
        return self.box[2] - self.box[0], self.box[3] - self.box[1]


@dataclass(frozen=True, slots=True)
class Painting:
    """Holds the mouth as ``kept * mouth + colours``, in the crop; as ``colours`` alone where there is no ``mouth``."""

    mouth: Mouth | None
    flow: Flow  # (128, 128, 2) into the mouth's crop
    kept: NDArray[np.float32] | None  # (S, S); None: all
    colours: Colours  # (S, S, 3)
    covered: NDArray[np.float32] | None = None  # (128, 128): how far something is in front of it; None: nothing


def placement_of(
    picture: Picture, to_crop: Matrix, part: NDArray[np.float32] | None = None, frame: CropFrame = MOUTH
) -> Placement | None:
    """Finds the box around ``frame``, or around the crop's pixels where ``part`` is above 0. None: not in the picture.

    ``to_crop`` takes picture pixels to crop pixels.
    """
    x, y, width, height = frame.left, frame.top, frame.side, frame.side
    if part is not None:
        x, y, width, height = cv2.boundingRect(np.uint8(part > 0))
    corners = np.array([[x, y], [x + width, y], [x, y + height], [x + width, y + height]], np.float32) - 0.5
    to_picture = cv2.invertAffineTransform(to_crop)
    low, high = (
        np.floor(apply_affine(to_picture, corners).min(axis=0)),
        np.ceil(apply_affine(to_picture, corners).max(axis=0)),
    )
    box = picture.even_box((int(low[0]), int(low[1]), int(high[0]) + 1, int(high[1]) + 1))
    if box[2] - box[0] < 2 or box[3] - box[1] < 2:
        return None
    to_crop, to_picture = to_crop.copy(), to_picture.astype(np.float32)
    to_crop[:, 2] += to_crop[:, :2] @ np.array(box[:2], np.float32)
    to_picture[:, 2] -= np.array(box[:2], np.float32)
    return Placement(box, to_crop, to_picture)


def paint(painting: Painting, placement: Placement) -> Colours:
    """Paints the mouth in a box of the picture, ``(h, w, 3)``."""
    if painting.mouth is None:
        return resample_field(painting.colours, placement)
    out = sample_warped(painting.mouth.pixels, painting.flow, painting.mouth.to_pixels, placement)
    if painting.kept is not None:
        out *= repeat_rgb(resample_field(painting.kept, placement))
    out += resample_field(painting.colours, placement)
    return out


def resample_field(field: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    """Resamples a field of the crop, of any size, over a box of the picture; 0 outside the crop."""
    matrix = (affine_scale(field.shape[0] / CROP_PIXELS) @ np.vstack([placement.to_crop, [0, 0, 1]]))[:2]
    return np.asarray(
        cv2.warpAffine(field, matrix, placement.size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP), np.float32
    )


def sample_warped(pixels: NDArray[np.uint8], flow: Flow, to_pixels: Matrix, placement: Placement) -> Colours:
    """Samples pixels of another box, warped by ``flow`` of the crop, over a box of the picture."""
    positions = cv2.transform(flow, to_pixels)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    over_box = cv2.warpAffine(
        positions, placement.to_crop, placement.size, flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    seen = cv2.remap(pixels, over_box, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(seen, np.float32)


def apply_affine(matrix: Matrix, points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Applies an affine ``(2, 3)`` to points ``(..., 2)``."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)
