"""The inside of a mouth that no reference shows: dark, with upper teeth that hang from the skull and a hint of tongue.

Sizes are those of adult teeth (central incisor 8.5 mm wide, lateral 6.5 mm, canine 7.5 mm) at 63 mm between the eyes.
"""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.colour_match import alike, everywhere
from mytalk.appearance.warp import LOWER_LIP, SUBPIXEL, UPPER_LIP, Points, fill, fixed
from mytalk.face.pose import CROP_PIXELS, CROP_SIDE

_MILLIMETRE = CROP_PIXELS / CROP_SIDE / 63  # crop pixels
_SHOWN = 5.0 * _MILLIMETRE  # how much of the incisors speech uncovers
_SHARE = 0.55  # and how much of the gap they fill at most
_GAPS = np.array([0.0, 8.5, 15.0, 22.5]) * _MILLIMETRE  # from the midline to the gaps between teeth

_DARK = np.array([0.17, 0.09, 0.09], np.float32)  # shares of the skin's colour
_TONGUE = np.array([0.36, 0.17, 0.17], np.float32)
_TONGUE_FROM = 0.62  # of the gap, from the upper lip
_TONGUE_BEYOND = 6.0  # crop pixels that it goes on under the lower lip: no dark line along it
_TEETH = 1.0  # lightness of teeth / the skin's, before the shade of lip and corners
_COLOUR = 0.6  # how much of the skin's colour cast they take


class Inside:
    """The inside of one target's mouth; drawn when it is first asked for."""

    def __init__(self, points: Points, size: int = CROP_PIXELS) -> None:
        self._points, self._size = points, size

    def colours(self, skin: NDArray[np.float32]) -> NDArray[np.float32]:
        """Colours ``(S, S, 3)`` for a person whose skin is ``skin``, 0..255."""
        tongue, teeth = self._layers
        light = float(skin @ np.array([0.299, 0.587, 0.114], np.float32))
        ivory = _TEETH * (light + _COLOUR * (skin - light))
        out = tongue * everywhere(skin * (_TONGUE - _DARK), self._size, self._size)
        out += everywhere(skin * _DARK, self._size, self._size)
        out += teeth * (everywhere(ivory, self._size, self._size) - out)
        return np.asarray(out, np.float32)

    @cached_property
    def _layers(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Shares of tongue and teeth, ``(S, S, 3)`` each."""
        upper, lower = self._points[UPPER_LIP], self._points[LOWER_LIP]
        gap = lower - upper
        below = lower[::-1] + np.array([0, _TONGUE_BEYOND], np.float32)
        tongue = fill(np.concatenate([upper + _TONGUE_FROM * gap, below]), blur=2.5)
        layers = tongue, _teeth(upper, gap)
        if self._size != CROP_PIXELS:
            layers = tuple(cv2.resize(layer, (self._size, self._size)) for layer in layers)
        return alike(layers[0]), alike(layers[1])


def _teeth(upper: NDArray[np.float32], gap: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much of a tooth each pixel shows, 0..1: less towards the corners and under the lip."""
    along = np.linspace(-1, 1, len(upper))
    length = np.linalg.norm(gap, axis=1)
    shown = np.minimum(_SHARE * length, _SHOWN) * (1 - np.abs(along) ** 3)
    edge = upper + (shown / np.maximum(length, 1e-3))[:, None] * gap
    band = fill(np.concatenate([upper - 1, edge[::-1]]), blur=0.7)
    middle = upper[len(upper) // 2]
    across = upper[-1] - upper[0]
    across /= max(float(np.linalg.norm(across)), 1e-3)
    down = np.array([-across[1], across[0]])
    lines = np.zeros((CROP_PIXELS, CROP_PIXELS), np.uint8)
    for offset in np.concatenate([_GAPS, -_GAPS[1:]]):
        top = middle + offset * across
        ends = fixed(np.stack([top - 6 * down, top + 12 * down]))
        cv2.line(lines, ends[0].tolist(), ends[1].tolist(), 255, 1, cv2.LINE_AA, SUBPIXEL)
    gaps = cv2.GaussianBlur(lines.astype(np.float32) / 255, (0, 0), 0.6)
    x = np.arange(CROP_PIXELS, dtype=np.float32) - middle[0]
    half = max(float(np.linalg.norm(upper[-1] - upper[0])) / 2, 1.0)
    corners = np.clip(1.05 - (x / half) ** 2, 0, 1)
    shadow = fill(np.concatenate([upper - 1, (upper + 0.3 * shown[:, None] * down)[::-1]]), blur=1.0)
    return np.asarray(band * corners * (1 - 0.35 * gaps) * (1 - 0.45 * shadow), np.float32)
