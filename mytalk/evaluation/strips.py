"""Draws pictures of a clip to look at: filmed above, generated below, and under them where they differ."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.evaluation.crop import Crop
from mytalk.evaluation.moment import Moment
from mytalk.media_time import SAMPLE_RATE

SIDE = 144
EVEN, WORST = 8, 4
_KEPT = 2 * EVEN  # at most, before every second one goes
_APART = 5  # frames between two of the worst
_GAIN = 4  # of the difference


@dataclass(frozen=True, slots=True)
class Cell:
    """Holds one moment as a JPEG."""

    at: int  # media time
    badness: float
    jpeg: bytes

    @property
    def seconds(self) -> float:
        return self.at / SAMPLE_RATE


class Strip:
    """Keeps a few moments of a clip, spread evenly, and the worst ones; as JPEGs, so memory is bounded."""

    def __init__(self, *, compare: bool, side: int = SIDE) -> None:
        """``compare`` draws the difference too, and looks for the worst. ``side``: pixels of each picture."""
        self._compare, self._side = compare, side
        self._even: list[Cell] = []
        self._worst: list[Cell] = []
        self._stride, self._count = 1, 0

    def push(self, moment: Moment, badness: float) -> None:
        """Takes a moment. ``badness``: larger is worse; NaN: cannot be among the worst."""
        if moment.crops is None or not moment.pair.scored:
            return
        due = self._count % self._stride == 0
        self._count += 1
        bad = self._compare and self._is_among_worst(moment.at, badness)
        if not due and not bad:
            return
        cell = Cell(moment.at, badness, _draw(*moment.crops, self._side, compare=self._compare))
        if bad:
            self._keep_worst(cell)
        if due:
            self._even.append(cell)
            if len(self._even) > _KEPT:
                self._even, self._stride = self._even[::2], 2 * self._stride

    @property
    def even(self) -> list[Cell]:
        """Returns at most ``EVEN`` moments, evenly spread."""
        if len(self._even) <= EVEN:
            return list(self._even)
        return [self._even[i] for i in np.linspace(0, len(self._even) - 1, EVEN).round().astype(int)]

    @property
    def worst(self) -> list[Cell]:
        """Returns at most ``WORST`` moments, the worst first."""
        return sorted(self._worst, key=lambda cell: -cell.badness)

    def _is_among_worst(self, at: int, badness: float) -> bool:
        if np.isnan(badness):
            return False
        rivals = self._near(at) or (self._worst if len(self._worst) >= WORST else [])
        return not rivals or badness > min(cell.badness for cell in rivals)

    def _keep_worst(self, cell: Cell) -> None:
        near = self._near(cell.at)
        self._worst = [one for one in self._worst if one not in near] + [cell]
        if len(self._worst) > WORST:
            self._worst.remove(min(self._worst, key=lambda one: one.badness))

    def _near(self, at: int) -> list[Cell]:
        return [cell for cell in self._worst if abs(cell.at - at) < _APART * SAMPLE_RATE // 25]


def _draw(filmed: Crop, generated: Crop, side: int, *, compare: bool) -> bytes:
    rows = [filmed, generated]
    if compare:
        rows.append(np.clip(_GAIN * np.abs(generated - filmed), 0, 255))
    stack_context = np.vstack([cv2.resize(row, (side, side), interpolation=cv2.INTER_AREA) for row in rows])
    rgb: NDArray[np.uint8] = np.rint(stack_context).astype(np.uint8)
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    return bytes(jpeg)
