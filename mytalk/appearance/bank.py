"""Mouths of this person seen so far. Belongs to one session and grows as it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.warp import COARSE, LOWER_LIP, UPPER_LIP, Points
from mytalk.face.landmarks import LOWER_COUNT, LOWER_LIPS_INNER, LOWER_LIPS_OUTER

CAPACITY = 64
FRESH = 250
"""Sightings after which a like mouth takes the place of an older one: light changes."""

_NEW = 0.5  # a mouth this far from all others is worth keeping, mean crop pixels
_NEARER = 1.25  # times the detail that a like mouth was seen in
_BLURRED = 1.0  # crop pixels of distance for half the detail that is wanted
_KEEP = 0.9  # the last choice stays while it is no farther than the best / this


def _weights() -> NDArray[np.float32]:
    """Of each landmark's own distance: lips count most; the rest tells head turns apart."""
    weights = np.full(LOWER_COUNT, 0.3 / (LOWER_COUNT - 40), np.float32)
    weights[list(LOWER_LIPS_OUTER)] = 0.6 / 20
    weights[list(LOWER_LIPS_INNER)] = 0.3 / 20
    return np.asarray(weights / weights.sum(), np.float32)


_WEIGHTS = _weights()
_OUTER = np.array(LOWER_LIPS_OUTER)
_OUTER_LOWER, _OUTER_UPPER = _OUTER[0:11], np.concatenate([_OUTER[:1], _OUTER[:9:-1]])  # as LOWER_LIP, UPPER_LIP
_LIP_WEIGHTS = np.array([2.0, 1.2, 1.0], np.float32)
"""Of the thickness of lower and upper lip and the height of the gap between them. Lips that look alike are as thick:
they tell how far teeth and tongue show better than the inner lip line does, which trackers find least well."""

_SCALE = 1 / (1 + 0.4 * float(_LIP_WEIGHTS.sum()))  # so that a distance is about a mean of pixels


@dataclass(frozen=True, slots=True)
class Mouth:
    """One mouth as it was seen."""

    points: Points  # (169, 2) crop pixels
    crop: NDArray[np.uint8]  # (F, F, 3): what the network sees, the mouth crop or the whole face
    pixels: NDArray[np.uint8]  # (h, w, 3): the same place in the picture's own resolution
    to_pixels: NDArray[np.float32]  # (2, 3): crop pixels -> pixels
    skin: NDArray[np.float32]  # (3,) colour of the skin around it, 0..255


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Mouths of about one lip shape, nearest first."""

    points: NDArray[np.float32]  # (N, 169, 2) crop pixels
    halves: NDArray[np.uint8]  # (N, 64, 64, 3): their crops at half the resolution
    apart: NDArray[np.float32]  # (N,) how unlike the wanted one each is, about crop pixels

    def __len__(self) -> int:
        return len(self.apart)


@dataclass(frozen=True, slots=True)
class Found:
    """What a bank has of a wanted lip shape."""

    mouth: Mouth  # to be bent
    apart: float  # how unlike the wanted one it is, about crop pixels
    around: Neighbours


class ReferenceBank:
    """At most ``capacity`` mouths, kept diverse by lip shape.

    When full, a mouth that differs more than the two most alike of the bank takes the older one's place; any other is
    dropped.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._mouths: list[Mouth] = []
        self._seen: list[int] = []
        self._count = 0
        self._points = np.zeros((capacity, LOWER_COUNT, 2), np.float32)
        self._heights = np.zeros((capacity, 3, len(LOWER_LIP)), np.float32)
        self._details = np.zeros(capacity, np.float32)
        self._halves = np.zeros((capacity, COARSE, COARSE, 3), np.uint8)
        self._between = np.full((capacity, capacity), np.inf, np.float32)

    def __len__(self) -> int:
        return len(self._mouths)

    @property
    def mouths(self) -> list[Mouth]:
        return list(self._mouths)

    def place_for(self, points: Points, detail: float = 0.0) -> int | None:
        """The slot that a mouth with these landmarks would take, or None where it adds nothing. Counts a sighting.

        ``detail``: what `detail_of` says of it. It takes the place of a like mouth that was seen from further away, or,
        in a full bank, of the nearest such one.
        """
        self._count += 1
        if not self._mouths:
            return 0
        distance = self._distance(points)
        nearest = int(distance.argmin())
        blurred = detail > _NEARER * self._details[: len(self)]
        if distance[nearest] < _NEW:
            return nearest if blurred[nearest] or self._count - self._seen[nearest] > FRESH else None
        if len(self) < self.capacity:
            return len(self)
        if blurred.any():
            return int(np.where(blurred, distance, np.inf).argmin())
        one, other = np.unravel_index(int(self._between.argmin()), self._between.shape)
        if distance[nearest] <= self._between[one, other]:
            return None
        return int(min(one, other, key=lambda slot: self._seen[slot]))

    def put(self, slot: int, mouth: Mouth) -> None:
        """Keeps a mouth in the slot that ``place_for`` gave."""
        if slot == len(self):
            self._mouths.append(mouth)
            self._seen.append(self._count)
        else:
            self._mouths[slot], self._seen[slot] = mouth, self._count
        self._points[slot], self._halves[slot] = mouth.points, halved(mouth.crop)
        self._heights[slot], self._details[slot] = _lip_heights(mouth.points), detail_of(mouth.to_pixels)
        between = self._distance(mouth.points)
        between[slot] = np.inf
        self._between[slot, : len(self)] = self._between[: len(self), slot] = between

    def find(self, points: Points, count: int, last: Mouth | None = None, detail: float = 0.0) -> Found:
        """The mouth of nearest lip shape, of ``last`` and it the former while it is not clearly nearer; and the
        ``count`` nearest, or all where the bank holds fewer. Less ``detail`` than this counts as further away.
        """
        distance = self._distance(points)
        order = np.argsort(distance, kind="stable")[:count]
        away = distance + _BLURRED * np.log2(np.maximum(detail / (self._details[: len(self)] + 1e-6), 1.0))
        best = int(away.argmin())
        slot = next((i for i, mouth in enumerate(self._mouths) if mouth is last), best)
        if away[slot] * _KEEP > away[best]:
            slot = best
        around = Neighbours(self._points[order], self._halves[order], distance[order])
        return Found(self._mouths[slot], float(distance[slot]), around)

    def _distance(self, points: Points) -> NDArray[np.float32]:
        return distances(self._points[: len(self)], points, self._heights[: len(self)])


def detail_of(to_pixels: NDArray[np.float32]) -> float:
    """How many pixels, in one direction, a mouth was seen in for one of the crop."""
    return float(np.sqrt(np.abs(np.linalg.det(to_pixels[:, :2]))))


def halved(crop: NDArray[Any]) -> NDArray[Any]:
    """A picture of the mouth crop at half its resolution, ``(64, 64, 3)``."""
    return np.asarray(cv2.resize(crop, (COARSE, COARSE), interpolation=cv2.INTER_AREA))


def distances(
    mouths: NDArray[np.float32], points: Points, heights: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """How unlike wanted landmarks ``(169, 2)`` those of mouths ``(N, 169, 2)`` are, about crop pixels, ``(N,)``.

    ``heights`` are the mouths' ``_lip_heights``, where they are known.
    """
    heights = _lip_heights(mouths) if heights is None else heights
    way = mouths - points
    way *= way
    apart = np.sqrt(way[..., 0] + way[..., 1]) @ _WEIGHTS
    apart += np.abs(heights - _lip_heights(points)).mean(axis=-1) @ _LIP_WEIGHTS
    return np.asarray(_SCALE * apart, np.float32)


def _lip_heights(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Thickness of the lower and the upper lip at 11 places, and the mean height of the gap 11 times: ``(..., 3, 11)``.

    In crop pixels.
    """
    y = points[..., 1]
    lower, upper = y[..., _OUTER_LOWER] - y[..., LOWER_LIP], y[..., UPPER_LIP] - y[..., _OUTER_UPPER]
    gap = (y[..., LOWER_LIP] - y[..., UPPER_LIP]).mean(axis=-1, keepdims=True)
    return np.stack([lower, upper, np.broadcast_to(gap, lower.shape)], axis=-2)
