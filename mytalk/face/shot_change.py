"""Finds where another shot of a film begins."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.picture import Picture

_CUT_DIFFERENCE = 28.0  # mean change of a 16 x 9 picture, 8-bit steps of luma, from which another shot begins


class ShotChange:
    """Compares each picture with the one before it, small."""

    def __init__(self) -> None:
        self._small: NDArray[np.uint8] | None = None

    def __call__(self, picture: Picture) -> bool:
        """Says whether another shot begins with this picture."""
        small = cv2.resize(picture.y[::4, ::4], (16, 9), interpolation=cv2.INTER_AREA)
        before, self._small = self._small, small
        return before is not None and float(np.abs(small.astype(np.int16) - before).mean()) > _CUT_DIFFERENCE
