"""Limits how far the jaw moves: the crop ends just below an open chin, so a jaw that moves far would smear the neck."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.mesh import Points
from mytalk.face.landmarks import LIPS, LOWER_FACE, TEMPLATE
from mytalk.smoothstep import smoothstep

MAX_JAW_MOVE = 6.0
"""Crop pixels that a jaw point may move from where the picture has it."""

_JAW_DISTANCE = 0.45  # distance from the lips at which a point counts as jaw, canonical units: that of the chin


def _jaw_weights() -> NDArray[np.float32]:
    """Returns 0 on the lips, 1 on chin and jaw line, for each lower-face landmark, ``(169, 1)``."""
    shape, lips = TEMPLATE[list(LOWER_FACE), :2], TEMPLATE[list(LIPS), :2]
    away = np.linalg.norm(shape[:, None] - lips[None], axis=-1).min(axis=1)
    return np.asarray(smoothstep(np.clip(away / _JAW_DISTANCE, 0, 1)), np.float32)[:, None]


_JAW_WEIGHTS = _jaw_weights()


def limit_jaw(wanted: Points, seen: Points) -> Points:
    """Limits jaw points of ``wanted`` ``(169, 2)`` crop pixels to ``MAX_JAW_MOVE`` from where they are ``seen``.

    Lips stay where they are wanted; between lips and jaw the limit comes in smoothly.
    """
    move = wanted - seen
    length = np.linalg.norm(move, axis=1, keepdims=True)
    limited = seen + move * np.minimum(1, MAX_JAW_MOVE / np.maximum(length, 1e-6))
    return np.asarray(wanted + _JAW_WEIGHTS * (limited - wanted), np.float32)
