"""Scales motion: all of it, the lips' or that of the face around them, and how far the lips open."""

from __future__ import annotations

import numpy as np

from mytalk.controls.mouth import Lower, Mouth
from mytalk.controls.values import Controls
from mytalk.face.landmarks import LIPS, LOWER_FACE, TEMPLATE, aperture
from mytalk.smoothstep import smoothstep

LIP_REACH = 0.35
"""Eye distances from the lips at which a point no longer moves with them: the chin's tip is 0.4 away."""


def _lip_share() -> Lower:
    """Returns how far each point of the lower face belongs to the lips, ``(169, 1)``: 1 on them, 0 far away."""
    points = TEMPLATE[list(LOWER_FACE), :2]
    away = np.linalg.norm(points[:, None] - TEMPLATE[list(LIPS), :2], axis=2).min(axis=1)
    return np.asarray(smoothstep(np.clip(1 - away / LIP_REACH, 0, 1)), np.float32)[:, None]


_LIP_SHARE = _lip_share()


def with_strength(mouth: Mouth, controls: Controls) -> Lower:
    """Scales the displacement from rest by ``motion_scale``, and by the weights of lips and expression where they
    are."""
    lips, around = (controls.motion_scale * weight for weight in (controls.lip_weight, controls.expression_weight))
    if lips == around == 1:
        return mouth.lower
    weight = np.float32(around) + np.float32(lips - around) * _LIP_SHARE
    return np.asarray(mouth.rest + weight * (mouth.lower - mouth.rest), np.float32)


def with_opening(mouth: Mouth, controls: Controls) -> Lower:
    """Multiplies the lip aperture by ``mouth_opening``: 0 closes the mouth, 1 leaves it, 2 opens it twice as far."""
    if controls.mouth_opening == 1:
        return mouth.lower
    return mouth.space.opened(mouth.lower, (controls.mouth_opening - 1) * max(float(aperture(mouth.lower)), 0.0))
