"""Compares faces by how the upper face looks, small and seen from the front.

The comparison tells people of one picture apart from one moment to the next. It is no recognition: nothing is kept
beyond a session, and another light gives another descriptor.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.face.pose import HeadPose
from mytalk.picture import Picture

Descriptor = NDArray[np.float32]
"""``(3, 16, 16)``: luma and the two colour planes of eyes, brows and nose, without the mouth."""

SIDE = 16

_OVERSAMPLING = 4  # luma samples a cell and axis
_CORNERS = np.array([[-0.85, -0.65, -0.1], [0.85, -0.65, -0.1], [-0.85, 0.55, -0.1]], np.float32)  # canonical
_COLOUR_SCALE = 12.0  # 8-bit steps of colour that count as much as luma without any correlation
_LIGHT_SCALE = 60.0  # the same for mean luma


def describe_face(picture: Picture, pose: HeadPose) -> Descriptor:
    """Computes the descriptor of the face with ``pose`` in the picture."""
    corners = np.ascontiguousarray(pose.to_frame(_CORNERS)[:, :2])
    fine = np.array([[0, 0], [SIDE, 0], [0, SIDE]], np.float32) * _OVERSAMPLING - np.float32(0.5)
    luma = _sampled(picture.y, cv2.getAffineTransform(corners, fine), SIDE * _OVERSAMPLING)
    luma = luma.reshape(SIDE, _OVERSAMPLING, SIDE, _OVERSAMPLING).mean(axis=(1, 3))
    coarse = cv2.getAffineTransform((corners - np.float32(0.5)) / 2, fine / _OVERSAMPLING)
    return np.stack([luma, *(_sampled(plane, coarse, SIDE) for plane in (picture.u, picture.v))])


def descriptor_distance(one: Descriptor, other: Descriptor) -> float:
    """Measures how different two descriptors are: 0 for equal; above 0.3 for most two people, seldom above 0.1 for
    one."""
    a, b = (luma - luma.mean() for luma in (one[0], other[0]))
    power = float(np.sqrt((a * a).sum() * (b * b).sum()))
    shape = 1 - float((a * b).sum()) / power if power > 0 else 1.0
    means, others = one.mean(axis=(1, 2)), other.mean(axis=(1, 2))
    colour = float(np.abs(means[1:] - others[1:]).sum()) / _COLOUR_SCALE
    return shape + colour + abs(float(means[0] - others[0])) / _LIGHT_SCALE


def _sampled(plane: NDArray[np.uint8], matrix: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    out = cv2.warpAffine(plane, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(out, np.float32)
