"""Articulates more, or less: how complete closures are, how round rounded vowels, how far apart the extremes."""

from __future__ import annotations

import numpy as np

from mytalk.controls.mouth import Lower, Mouth
from mytalk.controls.values import Controls
from mytalk.face.landmarks import aperture

AS_GENERATED = 0.5
"""Articulation that changes nothing."""

CLOSES_UP_TO = 0.035
"""Aperture, in eye distances, that full articulation takes for a closure and completes."""

WIDER, ROUNDER = 1.4, 1.5
"""Factors of the aperture and of what else lips do (rounding, spreading, protrusion) at full articulation."""

MUMBLED = 0.35
"""Factor of all motion at no articulation."""

SLACK = 0.02
"""Aperture, in eye distances, by which lips stay apart while one mumbles."""


def with_articulation(mouth: Mouth, controls: Controls) -> Lower:
    """Sets the lips' extremes further apart above 0.5, and nearer to each other below it."""
    if controls.articulation == AS_GENERATED:
        return mouth.lower
    gap = float(aperture(mouth.lower))
    at_rest = mouth.space.opened(mouth.lower, -gap)
    manner = at_rest - mouth.rest  # all that lips do but part
    clearer = 2 * controls.articulation - 1  # -1..1
    if clearer > 0:
        wanted = (1 - clearer) * gap + clearer * WIDER * (max(gap, 0.0) - _closure(gap))
        share = 1 + clearer * (ROUNDER - 1)
    else:
        mumbled = MUMBLED * gap + SLACK * mouth.voice
        wanted = (1 + clearer) * gap - clearer * mumbled
        share = 1 + clearer * (1 - MUMBLED)
    lower = np.asarray(mouth.rest + np.float32(share) * manner, np.float32)
    return mouth.space.opened(lower, wanted - float(aperture(lower)))


def _closure(gap: float) -> float:
    """Returns what full articulation takes off an aperture: all of a closure that is not complete, a constant beyond,
    and both without a corner between them."""
    gap = max(gap, 0.0)
    knee = CLOSES_UP_TO / 2
    return gap if gap <= knee else knee + knee * (1 - np.exp(-(gap - knee) / knee))
