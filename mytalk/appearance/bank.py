"""Keeps the mouths of one person seen so far. A bank belongs to one session and grows as it runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.compiled import compiled
from mytalk.appearance.mesh import COARSE, LOWER_LIP, UPPER_LIP, Points
from mytalk.appearance.scene import Neighbours
from mytalk.face.landmarks import LOWER_COUNT, LOWER_LIPS_INNER, LOWER_LIPS_OUTER
from mytalk.picture import Picture

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
    pixels: Picture | None  # the same place in the picture's own resolution; None: a network sees the crop, and no more
    to_pixels: NDArray[np.float32]  # (2, 3): crop pixels -> pixels
    skin: NDArray[np.float32]  # (3,) colour of the skin around it, 0..255


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
        self._details[slot] = detail_of(mouth.to_pixels)
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

    def recoded(self, mouth: Mouth, picture: Picture) -> Mouth:
        """Returns a mouth of the bank, its pixels in the YUV of ``picture``, and keeps it so: a camera may change."""
        pixels = mouth.pixels
        if pixels is None or (pixels.matrix, pixels.full_range) == (picture.matrix, picture.full_range):
            return mouth
        box, alpha = (0, 0, pixels.width, pixels.height), np.ones(pixels.y.shape, np.float32)
        empty = replace(pixels, matrix=picture.matrix, full_range=picture.full_range)
        slot = next(i for i, one in enumerate(self._mouths) if one is mouth)
        self._mouths[slot] = replace(mouth, pixels=empty.with_region(box, pixels.region_rgb(box), alpha))
        return self._mouths[slot]

    def _distance(self, points: Points) -> NDArray[np.float32]:
        return distances(self._points[: len(self)], points)


def detail_of(to_pixels: NDArray[np.float32]) -> float:
    """Returns how many pixels, in one direction, a mouth was seen in for one pixel of the crop."""
    return float(np.sqrt(np.abs(np.linalg.det(to_pixels[:, :2]))))


def half_size(crop: NDArray[Any]) -> NDArray[Any]:
    """Scales a picture of the mouth crop to half its resolution, ``(64, 64, 3)``."""
    return np.asarray(cv2.resize(crop, (COARSE, COARSE), interpolation=cv2.INTER_AREA))


@compiled
def distances(mouths: NDArray[np.float32], points: Points) -> NDArray[np.float32]:
    """Measures how far mouths ``(N, 169, 2)`` are from wanted landmarks ``(169, 2)``, about crop pixels, ``(N,)``."""
    wanted, out = _lip_heights(points), np.empty(len(mouths), np.float32)
    for n in range(len(mouths)):
        distance = np.float32(0)
        for i in range(len(points)):
            across, down = mouths[n, i, 0] - points[i, 0], mouths[n, i, 1] - points[i, 1]
            distance += np.sqrt(across * across + down * down) * _WEIGHTS[i]
        own = _lip_heights(mouths[n])
        for k in range(3):
            apart = np.float32(0)
            for i in range(len(LOWER_LIP)):
                apart += abs(own[k, i] - wanted[k, i])
            distance += _LIP_WEIGHTS[k] * apart / np.float32(len(LOWER_LIP))
        out[n] = np.float32(_SCALE) * distance
    return out


@compiled
def _lip_heights(points: Points) -> NDArray[np.float32]:
    """Returns the thickness of the lower and the upper lip at 11 places, and the mean gap 11 times: ``(3, 11)`` crop
    pixels."""
    count, gap = len(LOWER_LIP), np.float32(0)
    heights = np.empty((3, count), np.float32)
    for i in range(count):
        heights[0, i] = points[_OUTER_LOWER[i], 1] - points[LOWER_LIP[i], 1]
        heights[1, i] = points[UPPER_LIP[i], 1] - points[_OUTER_UPPER[i], 1]
        gap += (points[LOWER_LIP[i], 1] - points[UPPER_LIP[i], 1]) / np.float32(count)
    for i in range(count):
        heights[2, i] = gap
    return heights
