"""Detects objects in front of a mouth: a microphone, a hand, a cup. They stay as filmed, and enter no reference.

A pixel is covered where the frame, its skin moved to the wanted landmarks, differs from what this person looks like
with them. The inside of a mouth varies too much to be compared, so it counts as what is around it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.bank import ReferenceBank
from mytalk.appearance.colour_match import CELLS, ColourMatcher, Colours
from mytalk.appearance.mask import Mask, mouth_mask
from mytalk.appearance.network_inputs import resized
from mytalk.appearance.reference_mean import MAX_NEIGHBOURS, neighbour_means
from mytalk.appearance.warp import Points, Target
from mytalk.face.pose import CROP_PIXELS

MIN_MOUTHS = 8
"""Mouths that a bank must hold before it can tell an object from this person's face."""

_SKIN_DIFFERENCE = 0.4  # log difference up to which a cell is skin
_OBJECT_DIFFERENCE = 0.65  # and from which on it is an object
_CELL_SIGMA = 1.5  # Gaussian sigma, cells: what is smaller is a fold, a highlight or an edge
_LIPS_SHARE = 0.05  # share of a cell that may lie between the lips
_FREE_SHARE = 0.3  # share of object cells around one, up to which it is free
_COVERED_SHARE = 0.6  # and from which on it is covered
_LIP_EDGES = np.ones((5, 5), np.uint8)  # crop pixels by which the area between the lips is grown
_MIN_SHARE = 0.05  # covered share below which nothing is covered
_MAX_REFERENCE_SHARE = 0.05  # covered share of the mouth region from which on a mouth is no reference
_MAX_FRAME_SHARE = 0.7  # covered share of all cells from which on it is the person who looks different
_ATTACK = 0.8  # share of the way towards more cover in one frame
_RELEASE = 0.4  # and towards less


class Occlusion:
    """Tracks what covers one session's mouth from frame to frame."""

    def __init__(self) -> None:
        self._shares: NDArray[np.float32] | None = None  # of cells

    def __call__(self, expected: Colours, target: Target, matcher: ColourMatcher) -> Mask | None:
        """Returns how far each pixel of the next frame is covered, ``(128, 128)`` in 0..1; None: nothing is.

        ``expected`` ``(S, S, 3)`` is the wanted mouth, ``matcher`` that of the frame whose skin has been moved to it.
        """
        shares = _covered_shares(expected, target, matcher)
        if self._shares is not None:
            change = shares - self._shares
            shares = self._shares + np.where(change > 0, np.float32(_ATTACK), np.float32(_RELEASE)) * change
        self._shares = shares if float(shares.max()) > _MIN_SHARE else None
        return None if self._shares is None else resized(self._shares, CROP_PIXELS)


def is_covered(crop: NDArray[np.uint8], points: Points, bank: ReferenceBank) -> bool:
    """Says whether part of a mouth ``(S, S, 3)`` with these landmarks is covered, as far as a bank can tell."""
    if len(bank) < MIN_MOUTHS:
        return False
    target, region = Target(points), mouth_mask(points)
    matcher = ColourMatcher(crop.astype(np.float32), resized(region, crop.shape[0]))
    expected = neighbour_means(bank.find(points, MAX_NEIGHBOURS).neighbours, target, 1)[0]
    region = resized(region, CELLS)
    return float((region * _covered_shares(expected, target, matcher)).sum()) > _MAX_REFERENCE_SHARE * float(
        region.sum()
    )


def _covered_shares(expected: Colours, target: Target, matcher: ColourMatcher) -> NDArray[np.float32]:
    """Returns how far each cell is covered, ``(32, 32)`` in 0..1."""
    comparable = np.float32(resized(cv2.dilate(target.interior(), _LIP_EDGES), CELLS) < _LIPS_SHARE)
    foreign = (
        np.clip((matcher.log_difference(expected) - _SKIN_DIFFERENCE) / (_OBJECT_DIFFERENCE - _SKIN_DIFFERENCE), 0, 1)
        * comparable
    )
    nearby = cv2.GaussianBlur(foreign, (0, 0), _CELL_SIGMA) / (
        cv2.GaussianBlur(comparable, (0, 0), _CELL_SIGMA) + np.float32(1e-3)
    )
    shares = np.asarray(np.clip((nearby - _FREE_SHARE) / (_COVERED_SHARE - _FREE_SHARE), 0, 1), np.float32)
    return shares if float(shares.mean()) < _MAX_FRAME_SHARE else np.zeros_like(shares)
