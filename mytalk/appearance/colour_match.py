"""Corrects light and skin tone of an earlier mouth to the current frame's, by the skin around it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

CELLS = 32
"""Side of the grid that light is corrected on: shading, not detail."""

_NEAR_SIGMA, _FAR_SIGMA = 2.5, 6.0  # Gaussian sigmas, cells
_FAR_SHARE = 0.02  # weight of the far kernel, which counts where the near one finds nothing
_RING_CELLS = 9  # side of the neighbourhood of the region, cells, whose skin tells the light of all of it
_MAX_LIGHT_CHANGE = 1.1  # greatest change of light and exposure, log units; more is other content, as a hand
_MAX_SHADING = 0.1  # greatest local shading beside that, log units
_OTHER_CONTENT = 0.2  # difference, log units, from which a cell is other content: background beside a turned cheek
_ADJACENT = np.ones((3, 3), np.uint8)
_MIN_WEIGHT = 1e-3  # weight of such a cell, for where all around is other content
_LOG_OFFSET = 20.0  # added to colours 0..255 before the logarithm, for dark pixels

Colours = NDArray[np.float32]  # (S, S, 3), 0..255


def repeat_rgb(share: NDArray[np.float32]) -> NDArray[np.float32]:
    """Repeats a field ``(H, W)`` for three colours, ``(H, W, 3)``: numpy is slow to repeat a short last axis."""
    return np.asarray(cv2.merge([share, share, share]), np.float32)


def uniform_colour(colour: NDArray[np.float32], height: int, width: int) -> Colours:
    """Returns one colour ``(3,)`` at each of ``(height, width)`` pixels: a view of one line, not to be written to."""
    line = np.tile(np.asarray(colour, np.float32), width)
    return np.broadcast_to(line, (height, 3 * width)).reshape(height, width, 3)


class ColourMatcher:
    """Matches warped mouths to the current frame around one mouth region."""

    def __init__(self, current: Colours, region: NDArray[np.float32]) -> None:
        self._current = _log_cells(current)
        self._known = np.clip(1.0 - 2.0 * _to_cells(region), 0.0, 1.0)
        self._known[:1], self._known[-1:], self._known[:, :1], self._known[:, -1:] = 0, 0, 0, 0
        near = cv2.dilate(1 - self._known, np.ones((_RING_CELLS, _RING_CELLS), np.uint8))
        self._ring = np.flatnonzero((self._known == 1) & (near == 1))

    def correction(self, warped: Colours) -> Colours:
        """Returns what to add to ``warped`` so that its light meets the current frame's around the region, smoothly
        inside."""
        difference = self._current - _log_cells(warped)
        light = self._light(difference)
        difference -= light
        red, green, blue = cv2.split(np.abs(difference))
        same = (_OTHER_CONTENT - np.maximum(np.maximum(red, green), blue)) / (_OTHER_CONTENT - _MAX_SHADING)
        same = cv2.erode(same, _ADJACENT)  # a cell beside other content holds some of it
        known = self._known * np.clip(same, _MIN_WEIGHT, 1.0)
        limited = np.clip(difference, -_MAX_SHADING, _MAX_SHADING)
        smooth = _smoothed(limited * repeat_rgb(known)) / repeat_rgb(_smoothed(known) + np.float32(1e-6))
        gain = cv2.resize(np.expm1(smooth + light), warped.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return np.asarray(gain * (warped + _LOG_OFFSET), np.float32)

    def log_difference(self, expected: Colours) -> NDArray[np.float32]:
        """Measures how each cell of the frame differs from what is expected there in the frame's light, ``(32, 32)``.

        The greatest difference of the logarithms of the cell's three colours.
        """
        difference = self._current - _log_cells(expected)
        red, green, blue = cv2.split(np.abs(difference - self._light(difference)))
        return np.asarray(np.maximum(np.maximum(red, green), blue), np.float32)

    def _light(self, difference: Colours) -> NDArray[np.float32]:
        """Estimates how light and exposure have changed, logarithms ``(3,)``: a median, robust to other content
        around."""
        if not len(self._ring):
            return np.zeros(3, np.float32)
        middle = len(self._ring) // 2
        light = np.partition(difference.reshape(-1, 3)[self._ring], middle, axis=0)[middle]  # quicker than np.median
        return light if float(np.abs(light).max()) < _MAX_LIGHT_CHANGE else np.zeros(3, np.float32)


def _log_cells(colours: Colours) -> NDArray[np.float32]:
    return np.asarray(np.log(np.maximum(_to_cells(colours), 0.0) + _LOG_OFFSET), np.float32)


def _to_cells(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.resize(values, (CELLS, CELLS), interpolation=cv2.INTER_AREA), np.float32)


def _smoothed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Smooths by a narrow Gaussian, and by a wide one where the narrow one finds nothing."""
    near = cv2.GaussianBlur(values, (0, 0), _NEAR_SIGMA, borderType=cv2.BORDER_CONSTANT)
    far = cv2.GaussianBlur(values, (0, 0), _FAR_SIGMA, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(near + _FAR_SHARE * far, np.float32)
