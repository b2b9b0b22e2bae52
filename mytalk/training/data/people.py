"""Describes the people of a data set: a bounded sample of their frames, their rest shapes, and the mouth basis they
share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mytalk.face.landmarks import LOWER_FACE, LOWER_MIRROR, UPPER_FACE, aperture
from mytalk.motion.space import RestShape
from mytalk.motion.space_module import MotionSpaceModule
from mytalk.training.data.store import ClipStore

SAMPLE_CLIPS = 12
"""Clips of one person that a rest shape is estimated from, evenly chosen."""

SAMPLE_FRAMES = 3000
BASIS_PEOPLE = 200
"""People whose mouths the basis is fitted to; a draw, where there are more."""

BASIS_FRAMES = 600


@dataclass(frozen=True, slots=True)
class Rest:
    """Holds one person at rest: lower face ``(169, 3)``, and mean upper face ``(38, 3)``, canonical."""

    lower: NDArray[np.float32]
    upper: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Frames:
    """Holds frames of one person: lower faces ``(N, 169, 3)`` and upper faces ``(N, 38, 3)``, canonical."""

    lower: NDArray[np.float32]
    upper: NDArray[np.float32]

    def rest(self, space: MotionSpaceModule) -> Rest:
        """Estimates the rest shape. Raises ValueError for no frame."""
        return Rest(self._shape(space).estimate(), np.asarray(self.upper.mean(axis=0), np.float32))

    def openness(self, space: MotionSpaceModule) -> float:
        """Returns how far this person opens, against most."""
        return self._shape(space).openness()

    def _shape(self, space: MotionSpaceModule) -> RestShape:
        shape = RestShape(space, capacity=len(self.lower) + 1)
        for lower in self.lower:
            shape.observe(lower)
        return shape


def clips_by_person(store: ClipStore) -> dict[str, list[int]]:
    """Lists clip numbers of each person, people in order of their names."""
    clips: dict[str, list[int]] = {person: [] for person in store.people}
    for index, entry in enumerate(store.entries):
        clips[entry.person].append(index)
    return clips


def sample_frames(store: ClipStore, clips: Sequence[int]) -> Frames:
    """Picks frames of one person's clips evenly: at most ``SAMPLE_FRAMES`` of at most ``SAMPLE_CLIPS`` clips."""
    chosen = [clips[i] for i in _evenly(len(clips), SAMPLE_CLIPS)]
    each = max(1, SAMPLE_FRAMES // len(chosen))
    lower, upper = [], []
    for index in chosen:
        canonical = store.landmarks(index).canonical
        rows = canonical[_evenly(len(canonical), max(each, SAMPLE_FRAMES - each * (len(chosen) - 1)))]
        lower.append(rows[:, list(LOWER_FACE)])
        upper.append(rows[:, list(UPPER_FACE)])
    return Frames(np.concatenate(lower), np.concatenate(upper))


def sample_people(store: ClipStore, seed: int) -> list[Frames]:
    """Samples frames of ``BASIS_PEOPLE`` people at most, drawn by the seed."""
    clips = list(clips_by_person(store).values())
    if len(clips) > BASIS_PEOPLE:
        drawn = np.random.default_rng(seed).choice(len(clips), BASIS_PEOPLE, replace=False)
        clips = [clips[i] for i in sorted(drawn.tolist())]
    return [sample_frames(store, own) for own in clips]


def fit_space(people: Sequence[Frames], coefficients: int) -> MotionSpaceModule:
    """Fits the mouth basis: principal components of displacement from rest, every person weighing the same, and
    mirrored."""
    space = MotionSpaceModule(coefficients)
    for _ in range(2):  # the first pass finds the opening direction, which the rest shapes of the second one need
        rows, gaps = [], []
        for number, person in enumerate(people):
            rest = person.rest(space).lower
            picked = np.random.default_rng(number).choice(len(person.lower), BASIS_FRAMES)
            rows.append(person.lower[picked] - rest)
            gaps.append(aperture(person.lower[picked]) - aperture(rest))
        moved = np.concatenate(rows).astype(np.float64)
        gap = np.concatenate(gaps).astype(np.float64)
        mirrored = moved[:, list(LOWER_MIRROR)] * np.array([-1.0, 1.0, 1.0])
        both = np.concatenate([moved, mirrored]).reshape(2 * len(moved), -1)
        gap = np.concatenate([gap, gap])
        opening = gap @ both / (gap @ gap)
        space.opening.copy_(torch.from_numpy(opening))
    spread, basis = np.linalg.eigh(both.T @ both / len(both))
    order = np.argsort(-spread)[:coefficients]
    space.basis.copy_(torch.from_numpy(basis.T[order]))
    space.scale.copy_(torch.from_numpy(np.sqrt(np.maximum(spread[order], 1e-12))))
    return space


def _evenly(count: int, most: int) -> list[int]:
    """Picks at most ``most`` of ``count`` numbers, evenly spread."""
    return list(range(count)) if count <= most else np.linspace(0, count - 1, most).round().astype(int).tolist()
