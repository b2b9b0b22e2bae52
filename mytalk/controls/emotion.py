"""Adds an expression to the mouth: by the label of an emotion, or as strengths of action units."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mytalk.controls.action_units import Field, blend, decode_units
from mytalk.controls.mouth import Lower, Mouth
from mytalk.controls.values import Controls
from mytalk.face.landmarks import aperture

UNITS_OF: dict[str, dict[int, float]] = {
    "neutral": {},
    "happy": {6: 0.8, 12: 1.0},
    "sad": {1: 0.9, 4: 0.6, 15: 1.2, 17: 0.6},
    "angry": {4: 1.0, 5: 0.5, 7: 0.7, 10: 0.3, 15: 0.4, 17: 0.5, 23: 1.2},
    "surprised": {1: 1.0, 2: 1.0, 5: 0.8, 18: 0.5},
    "disgusted": {4: 0.5, 7: 0.4, 9: 1.0, 10: 1.2, 15: 0.9, 17: 0.6},
    "afraid": {1: 1.0, 2: 0.6, 4: 0.7, 5: 0.9, 15: 0.3, 20: 1.1},
}
"""Strengths of action units by the label of an emotion, upper face and lower: EMFACS (Friesen and Ekman 1983)."""

OPENING: dict[str, float] = {"surprised": 1.5, "afraid": 1.1, "sad": 0.85}
"""Factor of the lip aperture beyond a closure, where an emotion has one: a jaw that drops."""

CLOSURE = 0.03
"""Aperture, in eye distances, up to which lips count as closed."""

UPPER_UNITS = (1, 2, 4, 5, 6, 7, 9)
"""Units of brows, lids and nose, in the order of `upper_strengths`."""


def units_of(emotion: str) -> Mapping[int, float]:
    """Returns the strengths of action units of a label, or of a text such as ``12=0.8,15=0.2``."""
    return UNITS_OF[emotion] if emotion in UNITS_OF else decode_units(emotion)


@lru_cache(maxsize=64)
def _field_of(emotion: str) -> Field:
    return blend(units_of(emotion))


def with_emotion(mouth: Mouth, controls: Controls) -> Lower:
    """Adds the expression's lower face, ``intensity`` times; lips are as far apart as speech has them, or a factor of
    that."""
    if controls.emotion == "neutral" or controls.intensity == 0:
        return mouth.lower
    lower = np.asarray(mouth.lower + np.float32(controls.intensity) * _field_of(controls.emotion), np.float32)
    gap = float(aperture(mouth.lower))
    more = controls.intensity * (OPENING.get(controls.emotion, 1.0) - 1)
    wanted = gap + more * max(gap - CLOSURE, 0.0)
    return mouth.space.opened(lower, wanted - float(aperture(lower)))


def upper_strengths(controls: Controls) -> NDArray[np.float64]:
    """Returns the strengths of :data:`UPPER_UNITS` that the emotion asks for: what a portrait's brows and lids do."""
    units = units_of(controls.emotion)
    return controls.intensity * np.array([units.get(unit, 0.0) for unit in UPPER_UNITS])
