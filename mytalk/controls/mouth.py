"""Says what a control of the mouth is: a function of one generated mouth and the controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytalk.controls.values import Controls
from mytalk.motion.space import Opening

Lower = NDArray[np.float32]
"""Canonical lower face, ``(169, 3)``: unit is the distance between the eyes' centres, y points down."""


@dataclass(frozen=True, slots=True)
class Mouth:
    """Holds one mouth: what a control may look at, and what it changes."""

    lower: Lower  # as generated, and as the controls before this one made it
    rest: Lower  # of this person
    voice: float  # 0 where nobody speaks and the mouth rests, 1 where somebody does
    at: int  # media time
    space: Opening  # how this model's lips open


MouthControl = Callable[[Mouth, Controls], Lower]
"""Returns the lower face that a control makes of a mouth; at its default, the one that it was given."""
