"""Marks pictures: adds a faint pattern to the luma of a face that was changed, which says what made it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.face.pose import HeadPose
from mytalk.marking import pattern
from mytalk.marking.code import encode
from mytalk.marking.payload import Payload
from mytalk.media_time import SAMPLE_RATE
from mytalk.picture import Picture

PSNR = 46.5  # dB, of the marked against the unmarked plane, over a cycle of the carrier
_MOST_CONTRAST = 10.0  # grey levels: no edge hides more than this
_DITHER = 8  # pixels of the tile that keeps amounts below half a grey level


class Watermark:
    """Marks the pictures of one film or session. Not thread-safe."""

    def __init__(self, payload: Payload) -> None:
        self.payload = payload
        self._pattern = pattern.draw(encode(payload.to_bits()))

    def mark(self, picture: Picture, pose: HeadPose, at: int, strength: float = 1.0) -> Picture:
        """Returns the picture with its face marked; ``at``: its media time; ``strength``: 0 to 1.

        Luma changes inside the plane of the face (``pattern.plane_of``) alone, most where texture hides it: PSNR there
        is 46.5 dB over a second. Chroma, and all else, stays equal to the bit.
        """
        strength *= pattern.carrier(at / SAMPLE_RATE)
        if strength == 0:
            return picture
        plane = pattern.plane_of(pose)
        _, contrast = pattern.equalise(pattern.sample(picture, plane))
        shaped = self._pattern * np.minimum(contrast, np.float32(_MOST_CONTRAST))
        shaped *= np.float32(strength * _deviation() / np.sqrt(np.mean(shaped * shaped)))
        return _add(picture, shaped, plane)


@cache
def _deviation() -> float:
    """Returns the pattern's deviation in grey levels at a strength of 1."""
    cycle = np.arange(0, 1, 1 / 400) / pattern.CARRIER_HERTZ
    effective = np.sqrt(np.mean([pattern.carrier(float(seconds)) ** 2 for seconds in cycle]))
    return float(255 / 10 ** (PSNR / 20) / effective)


@lru_cache(maxsize=8)
def _dither(height: int, width: int) -> NDArray[np.float32]:
    """Returns ordered offsets of -0.5 to 0.5 (Bayer 1973), so that amounts below half a grey level survive rounding."""
    tile = np.zeros((1, 1), np.int64)
    while len(tile) < _DITHER:
        tile = np.block([[4 * tile, 4 * tile + 2], [4 * tile + 3, 4 * tile + 1]])
    offsets = (tile.astype(np.float32) + 0.5) / tile.size - 0.5
    return np.ascontiguousarray(np.tile(offsets, (-(-height // _DITHER), -(-width // _DITHER))))


def _add(picture: Picture, shaped: NDArray[np.float32], plane: NDArray[np.float32]) -> Picture:
    """Adds a pattern of the plane to the picture's luma."""
    to_picture = np.asarray(cv2.invertAffineTransform(plane), np.float64)
    ends = np.array([[x, y, 1.0] for x in (0, pattern.PIXELS - 1) for y in (0, pattern.PIXELS - 1)])
    corners = ends @ to_picture.T
    x0, y0 = (max(0, int(value)) for value in np.floor(corners.min(axis=0)))
    right, bottom = np.ceil(corners.max(axis=0)) + 1
    x1, y1 = min(picture.width, int(right)), min(picture.height, int(bottom))
    if x1 <= x0 or y1 <= y0:
        return picture
    to_picture[:, 2] -= (x0, y0)
    added = cv2.warpAffine(shaped, to_picture, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    added += _dither(picture.height, picture.width)[y0:y1, x0:x1]  # by itself too little to change a pixel
    luma = picture.y.copy()
    luma[y0:y1, x0:x1] = cv2.add(luma[y0:y1, x0:x1], added, dtype=cv2.CV_8U)
    return replace(picture, y=luma)
