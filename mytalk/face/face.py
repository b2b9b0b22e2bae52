"""Holds one face as landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Face:
    """Holds one face: 478 landmarks in picture pixels, z on x's scale (MediaPipe's depth)."""

    points: NDArray[np.float32]  # (478, 3)
    person: int = 0  # the same for the same person, as far as who tracks tells people apart

    @property
    def width(self) -> float:
        """Returns the width of all landmarks, pixels."""
        return float(np.ptp(self.points[:, 0]))

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Returns left, top, right and bottom of all landmarks, pixels."""
        low, high = self.points[:, :2].min(axis=0), self.points[:, :2].max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])
