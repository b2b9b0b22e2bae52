"""Colour: light and skin tone of an earlier mouth brought to the current frame's, from the skin around it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

CELLS = 32
"""Side of the grid that light is corrected on: shading, not detail."""

_NEAR, _FAR = 2.5, 6.0  # Gaussian sigmas, cells
_FAR_SHARE = 0.02  # weight of the far kernel where the near one reaches the rim
_RING = 9  # cells across: as far around the region skin tells the light of all of it
_LIGHT = 1.1  # a logarithm by which light and exposure change at most; more is other content: a hand
_LIMIT = 0.1  # no shading changes one by more beside that
_OTHER = 0.2  # and what differs by more is other content: background beside a turned cheek
_AROUND = np.ones((3, 3), np.uint8)
_DOUBT = 1e-3  # weight that it keeps, for where all around differs
_BLACK = 20.0  # keeps logarithms of dark pixels calm

Colours = NDArray[np.float32]  # (S, S, 3), 0..255


def alike(share: NDArray[np.float32]) -> NDArray[np.float32]:
    """``(H, W)`` for each of three colours, ``(H, W, 3)``: numpy is slow to repeat a short last axis."""
    return np.asarray(cv2.merge([share, share, share]), np.float32)


def everywhere(colour: NDArray[np.float32], height: int, width: int) -> Colours:
    """One colour ``(3,)`` at each of ``(height, width)`` places: a view of one line, not to be written to."""
    line = np.tile(np.asarray(colour, np.float32), width)
    return np.broadcast_to(line, (height, 3 * width)).reshape(height, width, 3)


class Rim:
    """The current frame around one mouth region, against which any number of bent mouths is matched."""

    def __init__(self, current: Colours, region: NDArray[np.float32]) -> None:
        self._current = _log_cells(current)
        self._known = np.clip(1.0 - 2.0 * _shrink(region), 0.0, 1.0)
        self._known[:1], self._known[-1:], self._known[:, :1], self._known[:, -1:] = 0, 0, 0, 0
        near = cv2.dilate(1 - self._known, np.ones((_RING, _RING), np.uint8))
        self._ring = np.flatnonzero((self._known == 1) & (near == 1))

    def correction(self, bent: Colours) -> Colours:
        """What to add to ``bent`` so that its light meets the current frame's around the region, smoothly inside."""
        difference = self._current - _log_cells(bent)
        light = self._light(difference)
        difference -= light
        red, green, blue = cv2.split(np.abs(difference))
        same = (_OTHER - np.maximum(np.maximum(red, green), blue)) / (_OTHER - _LIMIT)
        same = cv2.erode(same, _AROUND)  # a cell beside other content holds some of it
        known = self._known * np.clip(same, _DOUBT, 1.0)
        limited = np.clip(difference, -_LIMIT, _LIMIT)
        smooth = _spread(limited * alike(known)) / alike(_spread(known) + np.float32(1e-6))
        gain = cv2.resize(np.expm1(smooth + light), bent.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return np.asarray(gain * (bent + _BLACK), np.float32)

    def strangeness(self, expected: Colours) -> NDArray[np.float32]:
        """How unlike each cell of the frame is what is expected there in the frame's light, ``(32, 32)``: the greatest
        difference of its colours' logarithms."""
        difference = self._current - _log_cells(expected)
        red, green, blue = cv2.split(np.abs(difference - self._light(difference)))
        return np.asarray(np.maximum(np.maximum(red, green), blue), np.float32)

    def _light(self, difference: Colours) -> NDArray[np.float32]:
        """How light and exposure have changed, logarithms ``(3,)``: the same all around, whatever part of it is of
        other content."""
        if not len(self._ring):
            return np.zeros(3, np.float32)
        middle = len(self._ring) // 2
        light = np.partition(difference.reshape(-1, 3)[self._ring], middle, axis=0)[middle]  # quicker than np.median
        return light if float(np.abs(light).max()) < _LIGHT else np.zeros(3, np.float32)


def _log_cells(colours: Colours) -> NDArray[np.float32]:
    return np.asarray(np.log(np.maximum(_shrink(colours), 0.0) + _BLACK), np.float32)


def _shrink(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(values, (CELLS, CELLS), interpolation=cv2.INTER_AREA), np.float32)


def _spread(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A narrow Gaussian, and a wide one that takes over where the narrow one finds nothing."""
    near = cv2.GaussianBlur(values, (0, 0), _NEAR, borderType=cv2.BORDER_CONSTANT)
    far = cv2.GaussianBlur(values, (0, 0), _FAR, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(near + _FAR_SHARE * far, np.float32)
