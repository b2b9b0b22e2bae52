"""Lays the bits of a code word over frequencies of the face's own plane, and measures them there.

The plane turns, moves and grows with the head, so that a picture that was cut or made smaller still shows the same
pattern to a detector that tracks the face.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.face.pose import CROP_DEPTH, HeadPose
from mytalk.marking.code import CODED_BITS
from mytalk.picture import Picture

Values = NDArray[np.float32]

PIXELS = 128
"""Side of the plane's grid."""

LEFT, TOP, SIDE = -1.1, -0.2, 2.2  # of the plane in canonical units: eyes to chin, cheek to cheek
LOWEST, HIGHEST = 6.0, 35.0  # half waves a side: below are faces themselves, above is what codecs drop
CARRIER_HERTZ = 2.5
STRATA = 4  # frequencies a bit: one of each quarter, low to high
_SEED = 0x4D795461  # of the assignment: part of the format
_MEAN = (21, 21)  # pixels of the neighbourhood whose mean is taken out
_SPREAD = (9, 9)  # and of the one whose deviation is
_FLOOR = 1.5  # grey levels added to the deviation, so that flat skin is not all noise
_MOST = 2.0  # deviations: edges count no more than this


class Layout(NamedTuple):
    """Says which frequencies carry which bit, ``(234, 4)`` each, and with which sign."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    signs: Values


@cache
def layout() -> Layout:
    """Assigns the plane's frequencies to the bits, drawn once and for all."""
    row, column = np.mgrid[: int(HIGHEST) + 1, : int(HIGHEST) + 1]
    radius = np.hypot(row, column)
    inside = np.flatnonzero((radius >= LOWEST) & (radius <= HIGHEST))
    by_radius = inside[np.argsort(radius.ravel()[inside], kind="stable")][-STRATA * CODED_BITS :]
    random = np.random.default_rng(_SEED)
    chosen = np.stack([random.permutation(part) for part in by_radius.reshape(STRATA, CODED_BITS)], axis=1)
    signs = random.choice(np.array([-1, 1], np.float32), chosen.shape)
    return Layout(row.ravel()[chosen], column.ravel()[chosen], signs)


@cache
def basis() -> Values:
    """Returns the lowest rows of the orthonormal DCT-II, ``(36, 128)``."""
    k, x = np.mgrid[: int(HIGHEST) + 1, :PIXELS]
    rows = np.cos(np.pi * k * (2 * x + 1) / (2 * PIXELS)) * np.sqrt(2 / PIXELS)
    rows[0] /= np.sqrt(2)
    return np.asarray(rows, np.float32)


@cache
def taper() -> Values:
    """Returns how strong the pattern is over the plane, 0 at its border, ``(128, 128)``."""
    edge = np.minimum(np.arange(PIXELS) + 0.5, PIXELS - np.arange(PIXELS) - 0.5) / (PIXELS / 6)
    side = np.sin(np.pi / 2 * np.clip(edge, 0, 1)) ** 2
    return np.outer(side, side).astype(np.float32)


def plane_of(pose: HeadPose) -> Values:
    """Returns the affine ``(2, 3)`` from picture pixels to those of the plane."""
    corner = np.array([[LEFT, TOP], [LEFT + SIDE, TOP], [LEFT, TOP + SIDE]])
    frame = pose.to_frame(np.column_stack([corner, np.full(3, CROP_DEPTH)]).astype(np.float32))[:, :2]
    grid = np.array([[0, 0], [PIXELS, 0], [0, PIXELS]], np.float32) - 0.5
    return np.asarray(cv2.getAffineTransform(np.ascontiguousarray(frame), grid), np.float32)


def equalise(plane: Values) -> tuple[Values, Values]:
    """Takes local mean and contrast out of luma ``(128, 128)``; returns the result and the contrast, in grey levels."""
    mean = cv2.blur(plane, _MEAN)
    detail = plane - mean
    spread = cv2.blur(detail * detail, _SPREAD)
    contrast = np.sqrt(np.maximum(spread, 0)) + np.float32(_FLOOR)  # running sums of floats end a little below 0
    return np.clip(detail / contrast, -_MOST, _MOST), contrast


def sample(picture: Picture, plane: Values) -> Values:
    """Samples the picture's luma on the plane of ``plane_of``, ``(128, 128)``."""
    size = (PIXELS, PIXELS)
    luma = cv2.warpAffine(picture.y, plane, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(luma, np.float32)


def spectrum(plane: Values) -> Values:
    """Returns what each frequency holds of each bit being 1, ``(234, 4)``."""
    rows, columns, signs = layout()
    return np.asarray((basis() @ plane @ basis().T)[rows, columns] * signs, np.float32)


def draw(word: NDArray[np.int8]) -> Values:
    """Draws the pattern of a code word, ``(128, 128)``, of deviation 1 before its borders fade."""
    rows, columns, signs = layout()
    amounts = np.zeros((len(basis()), len(basis())), np.float32)
    amounts[rows, columns] = word[:, None] * signs
    pattern = basis().T @ amounts @ basis()
    return np.asarray(pattern / pattern.std() * taper(), np.float32)


def carrier(seconds: float) -> float:
    """Returns the pattern's strength at a time, -1 to 1: a cosine of 2.5 Hz, clipped.

    What a face shows changes little that fast, so a detector of this frequency sees the pattern alone.
    """
    return float(np.clip(1.5 * np.cos(2 * np.pi * CARRIER_HERTZ * seconds), -1, 1))
