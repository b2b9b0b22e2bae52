"""Defines which square of the face the network sees: the mouth crop, or the whole face around it.

Both are in the plane of ``HeadPose.crop_matrix`` and at its scale, so the mouth crop is a slice of the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.preset import AppearancePreset
from mytalk.face.pose import CROP_PIXELS

Window = tuple[slice, slice]
"""Rows and columns of a picture."""


@dataclass(frozen=True, slots=True)
class CropFrame:
    """Describes a square that holds the mouth crop, in pixels of the 128 crop, whose corner is (0, 0)."""

    left: int
    top: int
    side: int

    def pixels(self, size: int) -> int:
        """Returns the side of this square's picture where the mouth crop has ``size`` pixels a side."""
        return self.side * size // CROP_PIXELS

    def mouth(self, size: int) -> Window:
        """Returns where the mouth crop, ``size`` pixels a side, lies in this square's picture."""
        top, left = -self.top * size // CROP_PIXELS, -self.left * size // CROP_PIXELS
        return slice(top, top + size), slice(left, left + size)

    def to_pixels(self, size: int) -> NDArray[np.float32]:
        """Returns the affine ``(2, 3)`` from pixels of the 128 crop to this square's, the mouth crop having
        ``size``."""
        scale = size / CROP_PIXELS
        shift = 0.5 * scale - 0.5
        return np.array([[scale, 0, shift - scale * self.left], [0, scale, shift - scale * self.top]], np.float32)

    def pad(self, field: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pads a field ``(S, S, ...)`` of the mouth crop to this square with zeros."""
        size = len(field)
        side = self.pixels(size)
        if side == size:
            return field
        out = np.zeros((side, side, *field.shape[2:]), np.float32)
        out[self.mouth(size)] = field
        return out


MOUTH = CropFrame(0, 0, CROP_PIXELS)
FACE = CropFrame(-CROP_PIXELS // 2, -CROP_PIXELS, 2 * CROP_PIXELS)
"""Canonical x -1.6 to 1.6, y -1.05 to 2.15: the 256 x 256 face of MyTalk, section 4, where the crop has 128 pixels."""


def frame_of(preset: AppearancePreset) -> CropFrame:
    """Returns the square that a preset's network sees."""
    return FACE if preset.framing == "face" else MOUTH
