"""Draws training examples for the appearance model: one frame to be rendered, from other frames of the same clip.

How references are drawn decides what the network learns to refine: the paper takes any frames; a session's bank is well
filled, poor, a single picture, or has closed mouths only.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.bank import distances
from mytalk.appearance.crop_frame import FACE
from mytalk.appearance.mesh import Points
from mytalk.appearance.preset import AppearancePreset
from mytalk.appearance.reference_mean import MAX_NEIGHBOURS
from mytalk.errors import DataError
from mytalk.face.landmarks import LOWER_FACE, POINTS, aperture
from mytalk.training.appearance.augment import Camera, NoAugmentation
from mytalk.training.appearance.options import AppearanceOptions
from mytalk.training.appearance.rows import AlignedFace, Scene, row_of
from mytalk.training.data.store import ClipStore
from mytalk.training.run.task import Batch, row_rng, stack_rows

_LOWER = list(LOWER_FACE)
_CORNER = np.array([FACE.left, FACE.top], np.float32)
_CURRENT_DISTANCE = 12  # frames: a current frame this close has the target's light and pose, and another mouth
_REFERENCE_DISTANCE = 8  # frames between the target and its references


class AppearanceExamples:
    """Draws rows by (step, row), each a function of these and the seed alone."""

    def __init__(self, store: ClipStore, preset: AppearancePreset, options: AppearanceOptions) -> None:
        self._store, self._preset, self._options = store, preset, options
        groups = store.people if options.by_person else [None]
        self._groups = [
            _Frames(np.array([i for i, one in enumerate(store.entries) if group in (None, one.person)]), store)
            for group in groups
        ]

    def __len__(self) -> int:
        return sum(entry.frames for entry in self._store.entries)

    def draw(self, step: int, row: int) -> dict[str, Any]:
        """Draws one row: ``row_of`` and ``key``, clip and frame; with it the latents' noise, ``(2, latent, s, s)``."""
        random = row_rng(self._options.seed, step, row)
        preset, options = self._preset, self._options
        clip, target = self._groups[random.integers(len(self._groups))].draw(random)
        points = self._store.landmarks(clip).crop + _CORNER
        references = self._references(random, points[:, _LOWER], target)
        current = target
        if random.random() >= options.same_frame:
            current = int(
                random.integers(max(0, target - _CURRENT_DISTANCE), min(len(points), target + _CURRENT_DISTANCE + 1))
            )
        scene = self._scene(random, clip, points, references, current, target)
        moved = (0, 0)
        if options.augment:
            moved = (int(random.integers(-4, 5)), int(random.integers(-4, 5)))
            if random.random() < 0.5:
                scene = scene.mirrored()
        side = preset.latent_side
        return {
            "key": f"{self._store.entries[clip].key}:{target}",
            **row_of(scene, preset, moved),
            "noise": random.standard_normal((2, preset.latent, side, side), np.float32),
        }

    def collate(self, rows: list[dict[str, Any]]) -> Batch:
        return stack_rows(rows)

    def _references(self, random: np.random.Generator, lower: NDArray[np.float32], target: int) -> list[int]:
        """Draws frames to take references from."""
        count = self._preset.references
        if self._options.drawn == "random":
            return [int(one) for one in random.choice(len(lower), count, replace=len(lower) < count)]
        chosen = _bank_references(random, lower, target)
        return chosen if self._preset.residual else (chosen + chosen[-1:] * (count - len(chosen)))[:count]

    def _scene(
        self,
        random: np.random.Generator,
        clip: int,
        points: NDArray[np.float32],
        references: list[int],
        current: int,
        target: int,
    ) -> Scene:
        frames = [*references, current, target]
        faces = dict(zip(frames, self._faces(clip, frames), strict=True))
        camera = Camera(random) if self._options.augment else NoAugmentation()
        jitter = self._options.jitter
        return Scene(
            [
                AlignedFace(camera.apply(faces[i], other_time=True), points[i] + _jitter(random, 0.8 * jitter))
                for i in references
            ],
            AlignedFace(camera.apply(faces[current]), points[current]),
            AlignedFace(camera.apply(faces[target]), points[target] + _jitter(random, jitter)),
        )

    def _faces(self, clip: int, frames: list[int]) -> NDArray[np.uint8]:
        """Reads faces at the preset's size."""
        faces = self._store.faces(clip, frames)
        side, want = faces.shape[1], FACE.pixels(self._preset.size)
        if side < want:
            key = self._store.entries[clip].key
            raise DataError(f"clip {key}: faces of {side} pixels, need {want} (prepare with --size {want})")
        if side > want:
            faces = np.stack([cv2.resize(face, (want, want), interpolation=cv2.INTER_AREA) for face in faces])
        return faces


class _Frames:
    """Holds all frames of some clips, each as likely as any other."""

    def __init__(self, clips: NDArray[np.int64], store: ClipStore) -> None:
        self._clips = clips
        self._ends = np.cumsum([store.entries[i].frames for i in clips])

    def draw(self, random: np.random.Generator) -> tuple[int, int]:
        """Draws a clip and one of its frames."""
        number = int(random.integers(self._ends[-1]))
        place = int(np.searchsorted(self._ends, number, side="right"))
        return int(self._clips[place]), number - int(self._ends[place - 1] if place else 0)


def _bank_references(random: np.random.Generator, lower: NDArray[np.float32], target: int) -> list[int]:
    """Draws at most as many frames as a mean is made of, as a session's bank has them, nearest in lip shape first."""
    frames = np.arange(len(lower))
    others = frames[np.abs(frames - target) > _REFERENCE_DISTANCE]
    if not len(others):
        others = frames[frames != target] if len(frames) > 1 else frames
    kind = random.random()
    if kind < 0.30:  # one picture only, as for a portrait; half of them closed
        pool = _narrowest(lower, others) if kind < 0.18 else others
        return [int(random.choice(pool))]
    if kind < 0.42:  # nobody has opened the mouth yet
        pool = random.choice(_narrowest(lower, others), 6)
    else:
        pool = random.choice(others, int(np.exp(random.uniform(np.log(3), np.log(32)))))
    pool = np.unique(pool)
    distance = distances(lower[pool], lower[target])
    return [int(i) for i in pool[np.argsort(distance, kind="stable")[:MAX_NEIGHBOURS]]]


def _narrowest(lower: NDArray[np.float32], among: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the fifth with the smallest aperture."""
    gaps = aperture(lower[among])
    return np.asarray(among[np.argsort(gaps, kind="stable")[: max(1, len(among) // 5)]], np.int64)


def _jitter(random: np.random.Generator, scale: float) -> Points:
    """Draws landmark noise: each point's own, and a common shift, as generated landmarks have."""
    if not scale:
        return np.zeros((POINTS, 2), np.float32)
    noise = random.normal(0, scale, (POINTS, 2)) * 0.5 + random.normal(0, scale, 2)
    return np.asarray(noise, np.float32)
