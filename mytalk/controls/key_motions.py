"""Passes the mouth through key motions; the speech's motion in between keeps its timing."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from mytalk.controls.action_units import Field, blend
from mytalk.controls.mouth import Lower, Mouth
from mytalk.controls.pins import KeyMotion, decode_shape
from mytalk.controls.values import Controls
from mytalk.face.landmarks import aperture
from mytalk.media_time import FRAME_SAMPLES
from mytalk.smoothstep import smoothstep

RAMP = 4 * FRAME_SAMPLES
"""Media time (160 ms) in which the mouth goes to a pinned shape, and back to the speech's."""


def with_key_motions(mouth: Mouth, controls: Controls) -> Lower:
    """Moves the mouth to the shapes that are pinned near this moment: all the way while a pin holds."""
    lower = mouth.lower
    for pin in controls.key_motions:
        share = pin_share(pin, mouth.at)
        if share > 0:
            lower = np.asarray(lower + np.float32(share) * (pinned(mouth, pin.shape) - lower), np.float32)
    return lower


def pin_share(pin: KeyMotion, at: int) -> float:
    """Returns how far a pin holds the mouth at media time ``at``, 0..1."""
    away = max(pin.at - at, at - pin.at - pin.hold, 0)
    return smoothstep(max(0.0, 1 - away / RAMP))


def pinned(mouth: Mouth, shape: str) -> Lower:
    """Returns the mouth of this person in a shape."""
    gap, field = _shape(shape)
    lower = np.asarray(mouth.rest + field, np.float32)
    return mouth.space.opened(lower, gap - float(aperture(lower)))


@lru_cache(maxsize=256)
def _shape(text: str) -> tuple[float, Field]:
    gap, units = decode_shape(text)
    return gap, blend(units)
