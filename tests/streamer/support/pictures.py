"""Pictures that say their number, readable after encoding, and measures of pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def numbered(index: int, size: int = 256) -> NDArray[np.uint8]:
    """A grey picture ``(size, size, 3)`` whose lower edge says its number in 12 bits, readable after encoding."""
    picture = np.full((size, size, 3), 90, np.uint8)
    width = size // 12
    for bit in range(12):
        if index >> bit & 1:
            picture[-size // 4 :, bit * width : (bit + 1) * width] = 220
    return picture


def number_of(rgb: NDArray[np.uint8]) -> int:
    """The number that :func:`numbered` wrote."""
    size = rgb.shape[0]
    width = size // 12
    rows = rgb[-size // 6 : -size // 12].astype(int)
    return sum(int(rows[:, bit * width + 4 : (bit + 1) * width - 4].mean() > 155) << bit for bit in range(12))


def movement(pictures: list[NDArray[np.uint8]], box: tuple[int, int, int, int]) -> float:
    """Measures how far the grey values in a box lie from their mean over time."""
    x0, y0, x1, y1 = box
    return float(np.std([picture[y0:y1, x0:x1].mean(axis=2) for picture in pictures], axis=0).mean()) if pictures else 0
