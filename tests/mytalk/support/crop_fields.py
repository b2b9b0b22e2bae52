"""Fields of the mouth crop, seen in a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.network_inputs import affine_scale
from mytalk.appearance.placement import Placement


def resample_field(field: NDArray[np.float32], placement: Placement) -> NDArray[np.float32]:
    """A field of the crop, of any size, over a box of the picture; 0 outside the crop."""
    matrix = (affine_scale(field.shape[0] / 128) @ np.vstack([placement.to_crop, [0, 0, 1]]))[:2]
    return np.asarray(
        cv2.warpAffine(field, matrix, placement.size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP), np.float32
    )
