"""Draws the inside of a mouth that no reference shows: dark, with upper teeth and a hint of tongue.

Teeth are those of an adult (central incisor 8.5 mm wide, lateral 6.5 mm, canine 7.5 mm) at 63 mm between the eyes, and
move with the skull, not with the jaw.
"""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.colour_match import repeat_rgb, uniform_colour
from mytalk.appearance.warp import LOWER_LIP, SUBPIXEL, UPPER_LIP, Points, fill, to_fixed_point
from mytalk.face.pose import CROP_PIXELS, CROP_SIDE

_MILLIMETRE = CROP_PIXELS / CROP_SIDE / 63  # crop pixels
_TEETH_HEIGHT = 5.0 * _MILLIMETRE  # crop pixels of the incisors that speech uncovers at most
_TEETH_SHARE = 0.55  # share of the gap that they fill at most
_TOOTH_GAPS = np.array([0.0, 8.5, 15.0, 22.5]) * _MILLIMETRE  # crop pixels from the midline to the gaps between teeth

_CAVITY_COLOUR = np.array([0.17, 0.09, 0.09], np.float32)  # shares of the skin's colour
_TONGUE_COLOUR = np.array([0.36, 0.17, 0.17], np.float32)  # shares of the skin's colour
_TONGUE_TOP = 0.62  # share of the gap, from the upper lip, at which the tongue begins
_TONGUE_BEYOND = 6.0  # crop pixels that the tongue goes on under the lower lip, so that no dark line shows along it
_TEETH_LIGHTNESS = 1.0  # lightness of teeth / the skin's, before the shade of lip and corners
_TEETH_TINT = 0.6  # share of the skin's colour cast that teeth take


class MouthInterior:
    """Draws the inside of one target's mouth, when it is first needed."""

    def __init__(self, points: Points, size: int = CROP_PIXELS) -> None:
        self._points, self._size = points, size

    def colours(self, skin: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns colours ``(S, S, 3)`` for a person whose skin is ``skin``, 0..255."""
        tongue, teeth = self._layers
        light = float(skin @ np.array([0.299, 0.587, 0.114], np.float32))
        ivory = _TEETH_LIGHTNESS * (light + _TEETH_TINT * (skin - light))
        out = tongue * uniform_colour(skin * (_TONGUE_COLOUR - _CAVITY_COLOUR), self._size, self._size)
        out += uniform_colour(skin * _CAVITY_COLOUR, self._size, self._size)
        out += teeth * (uniform_colour(ivory, self._size, self._size) - out)
        return np.asarray(out, np.float32)

    @cached_property
    def _layers(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns the shares of tongue and teeth, ``(S, S, 3)`` each."""
        upper, lower = self._points[UPPER_LIP], self._points[LOWER_LIP]
        gap = lower - upper
        below = lower[::-1] + np.array([0, _TONGUE_BEYOND], np.float32)
        tongue = fill(np.concatenate([upper + _TONGUE_TOP * gap, below]), blur=2.5)
        layers = tongue, _teeth(upper, gap)
        if self._size != CROP_PIXELS:
            layers = tuple(cv2.resize(layer, (self._size, self._size)) for layer in layers)
        return repeat_rgb(layers[0]), repeat_rgb(layers[1])


def _teeth(upper: NDArray[np.float32], gap: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns how much of a tooth each pixel shows, 0..1: less towards the corners and under the lip."""
    along = np.linspace(-1, 1, len(upper))
    length = np.linalg.norm(gap, axis=1)
    shown = np.minimum(_TEETH_SHARE * length, _TEETH_HEIGHT) * (1 - np.abs(along) ** 3)
    edge = upper + (shown / np.maximum(length, 1e-3))[:, None] * gap
    band = fill(np.concatenate([upper - 1, edge[::-1]]), blur=0.7)
    middle = upper[len(upper) // 2]
    across = upper[-1] - upper[0]
    across /= max(float(np.linalg.norm(across)), 1e-3)
    down = np.array([-across[1], across[0]])
    lines = np.zeros((CROP_PIXELS, CROP_PIXELS), np.uint8)
    for offset in np.concatenate([_TOOTH_GAPS, -_TOOTH_GAPS[1:]]):
        top = middle + offset * across
        ends = to_fixed_point(np.stack([top - 6 * down, top + 12 * down]))
        cv2.line(lines, ends[0].tolist(), ends[1].tolist(), 255, 1, cv2.LINE_AA, SUBPIXEL)
    gaps = cv2.GaussianBlur(lines.astype(np.float32) / 255, (0, 0), 0.6)
    x = np.arange(CROP_PIXELS, dtype=np.float32) - middle[0]
    half = max(float(np.linalg.norm(upper[-1] - upper[0])) / 2, 1.0)
    corners = np.clip(1.05 - (x / half) ** 2, 0, 1)
    shadow = fill(np.concatenate([upper - 1, (upper + 0.3 * shown[:, None] * down)[::-1]]), blur=1.0)
    return np.asarray(band * corners * (1 - 0.35 * gaps) * (1 - 0.45 * shadow), np.float32)
