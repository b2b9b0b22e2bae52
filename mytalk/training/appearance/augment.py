"""Draws camera and light of a training example: what all its pictures share, and what moves between two of them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_LEVELS = np.linspace(0, 1, 256, dtype=np.float32)[:, None]


class Camera:
    """Applies one camera and one light: gain, tint, gamma, greyness, blur and compression."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self._gain = np.exp(random.normal(0, 0.07, 3) + random.normal(0, 0.2)).astype(np.float32)
        self._gamma = float(np.exp(random.normal(0, 0.2)))
        self._grey = float(random.uniform(0, 0.5)) if random.random() < 0.3 else 0.0
        self._blur = float(random.uniform(0.4, 1.3)) if random.random() < 0.25 else 0.0
        self._quality = int(random.integers(25, 90)) if random.random() < 0.25 else 0

    def apply(self, picture: NDArray[np.uint8], other_time: bool = False) -> NDArray[np.uint8]:
        """Changes a square picture as this camera sees it; at another time, its light may have moved."""
        gain, slope = self._gain, np.zeros(2, np.float32)
        if other_time:
            gain = gain * np.exp(self._random.normal(0, 0.05)).astype(np.float32)
            slope = self._random.normal(0, 0.08, 2).astype(np.float32)
        ramp = np.linspace(-1, 1, len(picture), dtype=np.float32)
        shade = 1 + slope[0] * ramp[:, None] + slope[1] * ramp[None, :]
        curve = 255 * _LEVELS**self._gamma * gain  # (256, 3)
        values = cv2.LUT(np.ascontiguousarray(picture), curve[None].astype(np.float32)) * shade[..., None]
        if self._grey:
            values += self._grey * (values.mean(axis=2, keepdims=True) - values)
        if self._blur:
            values = cv2.GaussianBlur(values, (0, 0), self._blur)
        out = np.asarray(np.clip(values, 0, 255), np.uint8)
        if self._quality:
            _, coded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
            out = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
        return out


class NoAugmentation:
    """Leaves pictures as they were filmed."""

    def apply(self, picture: NDArray[np.uint8], other_time: bool = False) -> NDArray[np.uint8]:
        return picture
