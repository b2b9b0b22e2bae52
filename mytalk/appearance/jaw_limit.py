"""How far the jaw may follow: the crop ends just below an open chin, so a jaw that moves far would smear the neck."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.warp import Points
from mytalk.face.landmarks import LIPS, LOWER_FACE, TEMPLATE

MOST = 6.0
"""Crop pixels that a jaw point may move from where the picture has it."""

_FAR = 0.45  # distance from the lips at which a point counts as jaw, canonical units: that of the chin


def _jawness() -> NDArray[np.float32]:
    """0 on the lips, 1 on chin and jaw line; one number a lower-face landmark."""
    shape, lips = TEMPLATE[list(LOWER_FACE), :2], TEMPLATE[list(LIPS), :2]
    away = np.linalg.norm(shape[:, None] - lips[None], axis=-1).min(axis=1)
    ramp = np.clip(away / _FAR, 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp), np.float32)[:, None]


_JAW = _jawness()


def held_back(wanted: Points, seen: Points) -> Points:
    """``wanted`` ``(169, 2)`` crop pixels, with jaw points no further than ``MOST`` from where they are ``seen``.

    Lips stay where they are wanted; between lips and jaw the limit comes in smoothly.
    """
    move = wanted - seen
    length = np.linalg.norm(move, axis=1, keepdims=True)
    limited = seen + move * np.minimum(1, MOST / np.maximum(length, 1e-6))
    return np.asarray(wanted + _JAW * (limited - wanted), np.float32)
