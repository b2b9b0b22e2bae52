"""Measures eyes by their landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mytalk.face import Face

# Upper and lower lid, corners, iris: right eye (on the picture's left), then the left one.
_EYES = ((159, 145, 33, 133, 468), (386, 374, 362, 263, 473))


def openness(face: Face) -> float:
    """Height of both eyes over their length."""
    points = face.points[:, :2]
    ratios = [
        np.linalg.norm(points[up] - points[low]) / np.linalg.norm(points[left] - points[right])
        for up, low, left, right, _ in _EYES
    ]
    return float(np.mean(ratios))


def gaze(face: Face) -> NDArray[np.float32]:
    """Place of both irises between the corners, across and down, in lengths of the eye."""
    points = face.points[:, :2]
    offsets = [
        (points[iris] - (points[left] + points[right]) / 2) / np.linalg.norm(points[left] - points[right])
        for _, _, left, right, iris in _EYES
    ]
    return np.asarray(np.mean(offsets, axis=0), np.float32)
