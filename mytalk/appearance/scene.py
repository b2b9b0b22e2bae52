"""Defines what one frame's mouth is made of, as compiled code takes it: contiguous arrays in named tuples."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.mesh import Points
from mytalk.appearance.sampling import Matrix

Plane = NDArray[np.uint8]


class Frame(NamedTuple):
    """Holds the picture that a mouth is painted into."""

    y: Plane  # (H, W)
    u: Plane  # (H / 2, W / 2)
    v: Plane  # (H / 2, W / 2)
    to_crop: Matrix  # (2, 3): its pixels -> pixels of the 128 crop
    to_picture: Matrix  # (2, 3): and back
    rgb_of_yuv: NDArray[np.float32]  # (3, 4): from YUV and 1
    yuv_of_rgb: NDArray[np.float32]  # (3, 4): from RGB and 1


class Reference(NamedTuple):
    """Holds the mouth that is warped."""

    points: Points  # (169, 2) crop pixels
    crop: NDArray[np.uint8]  # (128, 128, 3)
    y: Plane  # (h, w): the same place in the resolution that it was seen in
    u: Plane  # (h / 2, w / 2)
    v: Plane  # (h / 2, w / 2)
    to_pixels: Matrix  # (2, 3): crop pixels -> pixels of ``y``
    skin: NDArray[np.float32]  # (3,) colour of the skin around it, 0..255


class Neighbours(NamedTuple):
    """Holds mouths of a similar lip shape, nearest first."""

    points: NDArray[np.float32]  # (N, 169, 2) crop pixels
    half_crops: NDArray[np.uint8]  # (N, 64, 64, 3): their crops at half the resolution
    distance: NDArray[np.float32]  # (N,) how unlike the wanted one each is, about crop pixels


class Scene(NamedTuple):
    """Holds all that one frame's mouth is made of."""

    frame: Frame
    source: Points  # (169, 2) landmarks that the frame has, crop pixels
    wanted: Points  # (169, 2) landmarks that it shall have
    reference: Reference
    neighbours: Neighbours


class Planes(NamedTuple):
    """Holds the planes of a picture that was made, and whether all that was made of it was a number."""

    y: Plane
    u: Plane
    v: Plane
    finite: bool
