"""Says how a portrait's head and eyes stand at a moment: a function of the seed, media time and the controls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mytalk.controls.values import Controls
from mytalk.face.idle_motion import eyelids, head_motion


def idle_state(controls: Controls, seed: int, at: int) -> NDArray[np.float64]:
    """Returns how the head and lids stand at media time ``at``, ``(4,)``: across and down in face widths, lean in
    radians, and how far the lids are closed, 0..1. Numbers, so that `ControlTimeline.faded` can mix them."""
    weight = controls.motion_scale * controls.pose_weight
    across, down, lean = (weight * moved for moved in head_motion(seed, at))
    return np.array([across, down, lean, eyelids(seed, at)])
