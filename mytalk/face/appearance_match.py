"""Which of two faces is it: how the upper face looks, small and seen from the front.

It tells people of one picture apart from one moment to the next. It is no recognition: nothing is kept beyond a
session, and another light makes another likeness.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.face.pose import HeadPose
from mytalk.picture import Picture

Likeness = NDArray[np.float32]
"""``(3, 16, 16)``: luma, and the two colour planes; eyes, brows and nose, but not the mouth."""

SIDE = 16

_OVER = 4  # luma samples a cell and axis
_CORNERS = np.array([[-0.85, -0.65, -0.1], [0.85, -0.65, -0.1], [-0.85, 0.55, -0.1]], np.float32)  # canonical
_COLOUR, _LIGHT = 12.0, 60.0  # steps of 8 bit that weigh as much as luma that does not correlate at all


def likeness_of(picture: Picture, pose: HeadPose) -> Likeness:
    """Of the face that stands so in the picture."""
    corners = np.ascontiguousarray(pose.to_frame(_CORNERS)[:, :2])
    fine = np.array([[0, 0], [SIDE, 0], [0, SIDE]], np.float32) * _OVER - np.float32(0.5)
    luma = _sampled(picture.y, cv2.getAffineTransform(corners, fine), SIDE * _OVER)
    luma = luma.reshape(SIDE, _OVER, SIDE, _OVER).mean(axis=(1, 3))
    coarse = cv2.getAffineTransform((corners - np.float32(0.5)) / 2, fine / _OVER)
    return np.stack([luma, *(_sampled(plane, coarse, SIDE) for plane in (picture.u, picture.v))])


def unlikeness(one: Likeness, other: Likeness) -> float:
    """0 for the same; above 0.3 most people differ, and below 0.1 few do."""
    a, b = (luma - luma.mean() for luma in (one[0], other[0]))
    power = float(np.sqrt((a * a).sum() * (b * b).sum()))
    shape = 1 - float((a * b).sum()) / power if power > 0 else 1.0
    means, others = one.mean(axis=(1, 2)), other.mean(axis=(1, 2))
    colour = float(np.abs(means[1:] - others[1:]).sum()) / _COLOUR
    return shape + colour + abs(float(means[0] - others[0])) / _LIGHT


def _sampled(plane: NDArray[np.uint8], matrix: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    out = cv2.warpAffine(plane, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, np.float32)
