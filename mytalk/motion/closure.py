"""Closes lips where p, b or m is heard.

A mouth read off many people's is near closed there and seldom closed: it is the mean of mouths that close a little
sooner or later. `mytalk.speech.readout` tells these sounds by a map of their own, from 0 to about 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mytalk.face.landmarks import aperture
from mytalk.motion.space import Opening

CLOSING_FROM, CLOSED_FROM = 0.2, 0.4  # closure of a readout from which lips come nearer, and from which they meet


def close_lips(lower: NDArray[np.float32], closure: float, space: Opening) -> NDArray[np.float32]:
    """Returns a lower face ``(169, 3)`` with its lips as near as the readout's ``closure`` of its frame asks for."""
    share = min(max((closure - CLOSING_FROM) / (CLOSED_FROM - CLOSING_FROM), 0.0), 1.0)
    return lower if share == 0 else space.opened(lower, -share * max(float(aperture(lower)), 0.0))
