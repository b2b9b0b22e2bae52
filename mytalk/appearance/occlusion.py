"""What is in front of a mouth: a microphone, a hand, a cup. It stays as it was filmed, and is no part of a mouth.

It shows where the frame, its skin moved to the wanted landmarks, is not what this person looks like with them. The
inside of a mouth is as unlike as may be, so it counts as what is around it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.bank import ReferenceBank
from mytalk.appearance.colour_match import CELLS, Colours, Rim
from mytalk.appearance.mask import Mask, mouth_mask
from mytalk.appearance.network_inputs import resized
from mytalk.appearance.reference_mean import MOST, means
from mytalk.appearance.warp import Points, Target
from mytalk.face.pose import CROP_PIXELS

KNOWN = 8
"""Mouths from which on a bank knows what this person looks like."""

_STRANGE, _FOREIGN = 0.4, 0.65  # differences of logarithms between which a cell turns from skin to something else
_SIGMA = 1.5  # cells: what is smaller is a fold, a highlight or an edge
_SOME, _MOSTLY = 0.3, 0.6  # shares of such cells around one, between which it turns from free to covered
_BESIDE = np.ones((5, 5), np.uint8)  # lips' edges, crop pixels: unlike for being a little elsewhere
_NOTHING = 0.05  # shares below which nothing is covered
_PART = 0.05  # of the mouth region, from which on a mouth is no reference
_ALL = 0.7  # of all cells, from which on nothing is before the mouth: it is the person who looks another way
_COMES, _GOES = 0.8, 0.4  # of the way a frame


class Occlusion:
    """What is in front of one session's mouth, followed from frame to frame."""

    def __init__(self) -> None:
        self._shares: NDArray[np.float32] | None = None  # of cells

    def __call__(self, expected: Colours, goal: Target, rim: Rim) -> Mask | None:
        """How far each pixel of the next frame is covered; None: nothing is. ``expected`` ``(S, S, 3)`` is the wanted
        mouth, and ``rim`` of the frame whose skin has been moved to it.
        """
        shares = _covered(expected, goal, rim)
        if self._shares is not None:
            change = shares - self._shares
            shares = self._shares + np.where(change > 0, np.float32(_COMES), np.float32(_GOES)) * change
        self._shares = shares if float(shares.max()) > _NOTHING else None
        return None if self._shares is None else resized(self._shares, CROP_PIXELS)


def is_covered(crop: NDArray[np.uint8], points: Points, bank: ReferenceBank) -> bool:
    """Whether part of a mouth ``(S, S, 3)`` with these landmarks is hidden, as far as a bank can tell that."""
    if len(bank) < KNOWN:
        return False
    goal, region = Target(points), mouth_mask(points)
    rim = Rim(crop.astype(np.float32), resized(region, crop.shape[0]))
    expected = means(bank.find(points, MOST).around, goal, 1)[0]
    region = resized(region, CELLS)
    return float((region * _covered(expected, goal, rim)).sum()) > _PART * float(region.sum())


def _covered(expected: Colours, goal: Target, rim: Rim) -> NDArray[np.float32]:
    """How far each cell is covered, ``(32, 32)`` in 0..1."""
    known = np.float32(resized(cv2.dilate(goal.inside(), _BESIDE), CELLS) < 0.05)
    foreign = np.clip((rim.strangeness(expected) - _STRANGE) / (_FOREIGN - _STRANGE), 0, 1) * known
    around = cv2.GaussianBlur(foreign, (0, 0), _SIGMA) / (cv2.GaussianBlur(known, (0, 0), _SIGMA) + np.float32(1e-3))
    shares = np.asarray(np.clip((around - _SOME) / (_MOSTLY - _SOME), 0, 1), np.float32)
    return shares if float(shares.mean()) < _ALL else np.zeros_like(shares)
