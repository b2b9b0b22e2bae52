"""Keeps the mouths of one person seen so far. A bank belongs to one session and grows as it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.warp import COARSE, LOWER_LIP, UPPER_LIP, Points
from mytalk.face.landmarks import LOWER_COUNT, LOWER_LIPS_INNER, LOWER_LIPS_OUTER

CAPACITY = 64
"""Mouths that a bank holds at most."""
MAX_AGE = 250
"""Sightings after which a similar mouth replaces an older one, because light changes."""

_MIN_DISTANCE = 0.5  # a mouth this far from all others is worth keeping, mean crop pixels
_DETAIL_GAIN = 1.25  # detail of a mouth / that of the similar one in the bank, from which on it replaces that one
_BLUR_PENALTY = 1.0  # crop pixels added to the distance of a mouth seen in half the wanted detail
_SWITCH_RATIO = 0.9  # distance of the best mouth / that of the last choice, below which the choice changes


def _weights() -> NDArray[np.float32]:
    """Returns the weight of each landmark's own distance: lips count most; the rest tells head turns apart."""
    weights = np.full(LOWER_COUNT, 0.3 / (LOWER_COUNT - 40), np.float32)
    weights[list(LOWER_LIPS_OUTER)] = 0.6 / 20
    weights[list(LOWER_LIPS_INNER)] = 0.3 / 20
    return np.asarray(weights / weights.sum(), np.float32)


_WEIGHTS = _weights()
_OUTER = np.array(LOWER_LIPS_OUTER)
_OUTER_LOWER, _OUTER_UPPER = _OUTER[0:11], np.concatenate([_OUTER[:1], _OUTER[:9:-1]])  # as LOWER_LIP, UPPER_LIP
_LIP_WEIGHTS = np.array([2.0, 1.2, 1.0], np.float32)
"""Weights of the thickness of lower and upper lip and of the gap between them. Lips of equal thickness show teeth
and tongue alike, which tells more than the inner lip line, the line that trackers find least well."""

_SCALE = 1 / (1 + 0.4 * float(_LIP_WEIGHTS.sum()))  # so that a distance is about a mean of pixels


@dataclass(frozen=True, slots=True)
class Mouth:
    """Holds one mouth as it was seen."""

    points: Points  # (169, 2) crop pixels
    crop: NDArray[np.uint8]  # (F, F, 3): what the network sees, the mouth crop or the whole face
    pixels: NDArray[np.uint8]  # (h, w, 3): the same place in the picture's own resolution
    to_pixels: NDArray[np.float32]  # (2, 3): crop pixels -> pixels
    skin: NDArray[np.float32]  # (3,) colour of the skin around it, 0..255


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Holds mouths of a similar lip shape, nearest first."""

    points: NDArray[np.float32]  # (N, 169, 2) crop pixels
    half_crops: NDArray[np.uint8]  # (N, 64, 64, 3): their crops at half the resolution
    distance: NDArray[np.float32]  # (N,) how unlike the wanted one each is, about crop pixels

    def __len__(self) -> int:
        return len(self.distance)


@dataclass(frozen=True, slots=True)
class BankMatch:
    """Holds what a bank has for a wanted lip shape."""

    mouth: Mouth  # to be warped
    distance: float  # how unlike the wanted one it is, about crop pixels
    neighbours: Neighbours


class ReferenceBank:
    """Keeps at most ``capacity`` mouths, diverse in lip shape.

    When full, a mouth that differs more than the two most similar mouths of the bank replaces the older of them; any
    other is dropped.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._mouths: list[Mouth] = []
        self._last_seen: list[int] = []
        self._count = 0
        self._points = np.zeros((capacity, LOWER_COUNT, 2), np.float32)
        self._heights = np.zeros((capacity, 3, len(LOWER_LIP)), np.float32)
        self._details = np.zeros(capacity, np.float32)
        self._halves = np.zeros((capacity, COARSE, COARSE, 3), np.uint8)
        self._pairwise = np.full((capacity, capacity), np.inf, np.float32)

    def __len__(self) -> int:
        return len(self._mouths)

    @property
    def mouths(self) -> list[Mouth]:
        """Lists the mouths in the bank."""
        return list(self._mouths)

    def slot_for(self, points: Points, detail: float = 0.0) -> int | None:
        """Returns the slot that a mouth with these landmarks would take, or None where it adds nothing; counts a
        sighting.

        ``detail`` is `detail_of` the mouth. It replaces a similar mouth that was seen from further away, or, in a full
        bank, the nearest such one.
        """
        self._count += 1
        if not self._mouths:
            return 0
        distance = self._distance(points)
        nearest = int(distance.argmin())
        blurred = detail > _DETAIL_GAIN * self._details[: len(self)]
        if distance[nearest] < _MIN_DISTANCE:
            return nearest if blurred[nearest] or self._count - self._last_seen[nearest] > MAX_AGE else None
        if len(self) < self.capacity:
            return len(self)
        if blurred.any():
            return int(np.where(blurred, distance, np.inf).argmin())
        one, other = np.unravel_index(int(self._pairwise.argmin()), self._pairwise.shape)
        if distance[nearest] <= self._pairwise[one, other]:
            return None
        return int(min(one, other, key=lambda slot: self._last_seen[slot]))

    def put(self, slot: int, mouth: Mouth) -> None:
        """Stores a mouth in the slot that ``slot_for`` returned."""
        if slot == len(self):
            self._mouths.append(mouth)
            self._last_seen.append(self._count)
        else:
            self._mouths[slot], self._last_seen[slot] = mouth, self._count
        self._points[slot], self._halves[slot] = mouth.points, half_size(mouth.crop)
        self._heights[slot], self._details[slot] = _lip_heights(mouth.points), detail_of(mouth.to_pixels)
        to_others = self._distance(mouth.points)
        to_others[slot] = np.inf
        self._pairwise[slot, : len(self)] = self._pairwise[: len(self), slot] = to_others

    def find(self, points: Points, count: int, last: Mouth | None = None, detail: float = 0.0) -> BankMatch:
        """Finds the mouth of nearest lip shape and its ``count`` nearest neighbours, or all where the bank holds fewer.

        ``last`` is chosen again unless another is clearly nearer. Mouths with less ``detail`` than this count as
        further away.
        """
        distance = self._distance(points)
        order = np.argsort(distance, kind="stable")[:count]
        penalised = distance + _BLUR_PENALTY * np.log2(np.maximum(detail / (self._details[: len(self)] + 1e-6), 1.0))
        best = int(penalised.argmin())
        slot = next((i for i, mouth in enumerate(self._mouths) if mouth is last), best)
        if penalised[slot] * _SWITCH_RATIO > penalised[best]:
            slot = best
        neighbours = Neighbours(self._points[order], self._halves[order], distance[order])
        return BankMatch(self._mouths[slot], float(distance[slot]), neighbours)

    def _distance(self, points: Points) -> NDArray[np.float32]:
        return distances(self._points[: len(self)], points, self._heights[: len(self)])


def detail_of(to_pixels: NDArray[np.float32]) -> float:
    """Returns how many pixels, in one direction, a mouth was seen in for one pixel of the crop."""
    return float(np.sqrt(np.abs(np.linalg.det(to_pixels[:, :2]))))


def half_size(crop: NDArray[Any]) -> NDArray[Any]:
    """Scales a picture of the mouth crop to half its resolution, ``(64, 64, 3)``."""
    return np.asarray(cv2.resize(crop, (COARSE, COARSE), interpolation=cv2.INTER_AREA))


def distances(
    mouths: NDArray[np.float32], points: Points, heights: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Measures how far mouths ``(N, 169, 2)`` are from wanted landmarks ``(169, 2)``, about crop pixels, ``(N,)``.

    ``heights`` are the mouths' ``_lip_heights``, where they are known.
    """
    heights = _lip_heights(mouths) if heights is None else heights
    offset = mouths - points
    offset *= offset
    distance = np.sqrt(offset[..., 0] + offset[..., 1]) @ _WEIGHTS
    distance += np.abs(heights - _lip_heights(points)).mean(axis=-1) @ _LIP_WEIGHTS
    return np.asarray(_SCALE * distance, np.float32)


def _lip_heights(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the thickness of the lower and the upper lip at 11 places, and the mean gap 11 times: ``(..., 3, 11)``
    crop pixels."""
    y = points[..., 1]
    lower, upper = y[..., _OUTER_LOWER] - y[..., LOWER_LIP], y[..., UPPER_LIP] - y[..., _OUTER_UPPER]
    gap = (y[..., LOWER_LIP] - y[..., UPPER_LIP]).mean(axis=-1, keepdims=True)
    return np.stack([lower, upper, np.broadcast_to(gap, lower.shape)], axis=-2)
