"""Crops the face that pictures are compared on: 256 x 256, in canonical space, so that every head has one size."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.face import Face, HeadPose
from mytalk.face.landmarks import LIPS_OUTER

SIDE = 256
LEFT, TOP, EXTENT = -1.6, -1.15, 3.2
"""The crop in canonical units: the whole face, x -1.6..1.6 and y -1.15..2.05."""

_OUTER = list(LIPS_OUTER)

Crop = NDArray[np.float32]  # (256, 256, 3), RGB 0..255
Rgb = NDArray[np.uint8]  # (H, W, 3)
Box = tuple[slice, slice]  # rows, columns


def crop_matrix(pose: HeadPose) -> NDArray[np.float32]:
    """Returns the affine ``(2, 3)`` from picture pixels to pixels of the face crop."""
    corners = np.array([[LEFT, TOP, 0], [LEFT + EXTENT, TOP, 0], [LEFT, TOP + EXTENT, 0]], np.float32)
    crop = np.array([[0, 0], [SIDE, 0], [0, SIDE]], np.float32) - 0.5
    return np.asarray(cv2.getAffineTransform(pose.to_frame(corners)[:, :2].astype(np.float32), crop), np.float32)


def face_crop(rgb: Rgb, pose: HeadPose) -> Crop:
    """Crops the face of a picture ``(H, W, 3)``; its border is repeated where the crop leaves it."""
    flags, border = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    crop = cv2.warpAffine(rgb, crop_matrix(pose), (SIDE, SIDE), flags=flags, borderMode=border)
    return np.asarray(crop, np.float32)


def mouth_box(face: Face, pose: HeadPose) -> Box:
    """Returns the lips' bounding box in the crop, a quarter wider on each side."""
    matrix = crop_matrix(pose)
    lips = face.points[_OUTER, :2] @ matrix[:, :2].T + matrix[:, 2]
    low, high = lips.min(axis=0), lips.max(axis=0)
    x0, y0 = np.maximum(low - (high - low) / 4, 0).astype(int)
    x1, y1 = np.minimum(high + (high - low) / 4, SIDE).astype(int)
    return slice(int(y0), int(y1)), slice(int(x0), int(x1))
