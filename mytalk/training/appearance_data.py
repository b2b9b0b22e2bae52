"""Training examples for the appearance model: one frame to be rendered, from other frames of the same clip.

Everything goes through ``mytalk.appearance.prepare``, as it does live. How references are drawn decides what the
network learns to mend: a well-filled bank, a poor one, a single picture, closed mouths only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.bank import Mouth, distances
from mytalk.appearance.cavity import Inside
from mytalk.appearance.mask import mouth_mask, moving_mask
from mytalk.appearance.prepare import bend, mouth_inputs, resized, resized_flow, sample, skin_of, window_of
from mytalk.appearance.preset import REFERENCES, AppearancePreset
from mytalk.appearance.tone import Rim
from mytalk.appearance.warp import GRID, Points, Target, displacement
from mytalk.errors import InputError
from mytalk.face.landmarks import LOWER_LIPS_OUTER, LOWER_MIRROR, aperture
from mytalk.face.pose import CROP_PIXELS
from mytalk.training.crops import Crops, load_crops

_MIRROR = np.array(LOWER_MIRROR)
_NEAR = 12  # frames: a current frame this close has the target's light and pose, and another mouth
_APART = 8  # frames between the target and its references
_IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float32)


@dataclass(frozen=True, slots=True)
class Example:
    """One training example: a window of the crop. Pictures are ``(W, W, 3)``, in the network's units."""

    references: NDArray[np.float32]  # (3, W, W, 3), masked as the network sees them
    non_lip: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    around: NDArray[np.float32]  # current frame with its skin moved: what stays outside the region
    truth: NDArray[np.float32]
    region: NDArray[np.float32]  # (W, W) in 0..1
    mouth: NDArray[np.float32]  # (W, W) in 0..1: lips and the inside of the mouth


class Examples:
    """An endless, seeded stream of examples, every person equally often."""

    def __init__(self, folder: Path, preset: AppearancePreset, seed: int) -> None:
        self._preset = preset
        self._people: dict[str, list[Crops]] = {}
        for path in sorted(folder.glob("*.npz")):
            clip = load_crops(path)
            if clip.crops.shape[1] != preset.size:
                sizes = f"crops of {clip.crops.shape[1]} pixels, need {preset.size}"
                raise InputError(f"{path}: {sizes} (cut them with --size {preset.size})")
            if len(clip.frame) > 2:
                self._people.setdefault(clip.person, []).append(clip)
        if not self._people:
            raise InputError(f"{folder}: no mouth crops (make them with python -m mytalk.training.crops)")
        self._names = sorted(self._people)
        self.random = np.random.default_rng(seed)

    @property
    def people(self) -> int:
        return len(self._names)

    def draw(self) -> Example:
        """The next example."""
        random = self.random
        clips = self._people[self._names[random.integers(len(self._names))]]
        sizes = np.array([len(clip.frame) for clip in clips], float)
        clip = clips[random.choice(len(clips), p=sizes / sizes.sum())]
        target = int(random.integers(len(clip.frame)))
        references = self._references(clip, target)
        near = np.flatnonzero(np.abs(clip.frame - clip.frame[target]) <= _NEAR)
        current = target if random.random() < 0.4 else int(random.choice(near))
        look = _Look(random)
        pictures = [look.shot(clip.crops[i], other_time=True) for i in references]
        shapes = [clip.points[i] + _jitter(random, 0.2) for i in references]
        wanted = clip.points[target] + _jitter(random, 0.25)
        return _example(
            self._preset, pictures, shapes, look.shot(clip.crops[current]), clip.points[current],
            look.shot(clip.crops[target]), wanted, mirrored=bool(random.random() < 0.5),
            place=(int(random.integers(-4, 5)), int(random.integers(-4, 5))),
        )  # fmt: skip

    def _references(self, clip: Crops, target: int) -> list[int]:
        """Frames to take references from: 1 to 3, nearest in lip shape first."""
        random = self.random
        others = np.flatnonzero(np.abs(clip.frame - clip.frame[target]) > _APART)
        if not len(others):
            others = np.array([i for i in range(len(clip.frame)) if i != target])
        kind = random.random()
        if kind < 0.30:  # one picture only, as for a portrait; half of them closed
            pool = _closed(clip, others) if kind < 0.18 else others
            return [int(random.choice(pool))]
        if kind < 0.42:  # nobody has opened the mouth yet
            pool = random.choice(_closed(clip, others), 6)
        else:
            pool = random.choice(others, int(np.exp(random.uniform(np.log(3), np.log(32)))))
        pool = np.unique(pool)
        apart = distances(clip.points[pool], clip.points[target])
        return [int(i) for i in pool[np.argsort(apart, kind="stable")[:REFERENCES]]]


class _Look:
    """One camera and one light for all pictures of an example."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self._gain = np.exp(random.normal(0, 0.07, 3) + random.normal(0, 0.2)).astype(np.float32)
        self._gamma = float(np.exp(random.normal(0, 0.2)))
        self._grey = float(random.uniform(0, 0.5)) if random.random() < 0.3 else 0.0
        self._blur = float(random.uniform(0.4, 1.3)) if random.random() < 0.25 else 0.0
        self._quality = int(random.integers(25, 90)) if random.random() < 0.25 else 0

    def shot(self, crop: NDArray[np.uint8], other_time: bool = False) -> NDArray[np.uint8]:
        """A crop as this camera sees it; at another time, its light may have moved."""
        gain, slope = self._gain, np.zeros(2, np.float32)
        if other_time:
            gain = gain * np.exp(self._random.normal(0, 0.05)).astype(np.float32)
            slope = self._random.normal(0, 0.08, 2).astype(np.float32)
        ramp = np.linspace(-1, 1, len(crop), dtype=np.float32)
        shade = 1 + slope[0] * ramp[:, None] + slope[1] * ramp[None, :]
        curve = 255 * _LEVELS**self._gamma * gain  # (256, 3)
        values = cv2.LUT(crop, curve[None].astype(np.float32)) * shade[..., None]
        if self._grey:
            values += self._grey * (values.mean(axis=2, keepdims=True) - values)
        if self._blur:
            values = cv2.GaussianBlur(values, (0, 0), self._blur)
        out = np.asarray(np.clip(values, 0, 255), np.uint8)
        if self._quality:
            _, coded = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
            out = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
        return out


_LEVELS = np.linspace(0, 1, 256, dtype=np.float32)[:, None]


def _closed(clip: Crops, among: NDArray[np.int64]) -> NDArray[np.int64]:
    """The fifth with the smallest aperture."""
    gaps = aperture(clip.points[among])
    return np.asarray(among[np.argsort(gaps, kind="stable")[: max(1, len(among) // 5)]], np.int64)


def _jitter(random: np.random.Generator, scale: float) -> NDArray[np.float32]:
    """Landmark noise: each point's own, and a common stretch of the lips, as generated landmarks have."""
    noise = random.normal(0, scale, (len(_MIRROR), 2)) * 0.5 + random.normal(0, scale, 2)
    return np.asarray(noise, np.float32)


def _mouth(crop: NDArray[np.uint8], points: Points) -> Mouth:
    return Mouth(points, crop, crop, _IDENTITY, skin_of(crop, points))


def _example(
    preset: AppearancePreset,
    pictures: list[NDArray[np.uint8]],
    shapes: list[Points],
    current: NDArray[np.uint8],
    seen: Points,
    truth: NDArray[np.uint8],
    wanted: Points,
    mirrored: bool,
    place: tuple[int, int],
) -> Example:
    if mirrored:
        pictures, shapes = [p[:, ::-1] for p in pictures], [_mirror(s) for s in shapes]
        current, truth, seen, wanted = current[:, ::-1], truth[:, ::-1], _mirror(seen), _mirror(wanted)
    goal, region = Target(wanted), resized(mouth_mask(wanted), preset.size)
    rows, columns = window_of(region, preset.window, preset.stem)
    window = _moved(rows, place[0], preset.size), _moved(columns, place[1], preset.size)
    around = current.astype(np.float32)
    if displacement(wanted, seen) > 1.0:
        reach = moving_mask(seen, wanted)
        flow = GRID + reach[..., None] * (goal.warp_from(seen).flow - GRID)
        around = sample(np.ascontiguousarray(current), resized_flow(flow, preset.size))
    rim, inside = Rim(around, region), Inside(wanted, preset.size)
    bent = [
        bend(_mouth(np.ascontiguousarray(picture), points), goal.warp_from(points), rim, inside)
        for picture, points in zip(pictures, shapes, strict=True)
    ]
    bent += bent[-1:] * (REFERENCES - len(bent))
    seen_by = mouth_inputs(bent, around, region, wanted, window)
    return Example(
        seen_by.references, seen_by.non_lip, seen_by.landmarks,
        seen_by.exposure.normal(around[window]), seen_by.exposure.normal(truth[window].astype(np.float32)),
        region[window], resized(_lips(wanted), preset.size)[window],
    )  # fmt: skip


def _moved(span: slice, by: int, size: int) -> slice:
    """A window's side moved within the crop."""
    side = span.stop - span.start
    start = min(max(span.start + by, 0), size - side)
    return slice(start, start + side)


def _lips(points: Points) -> NDArray[np.float32]:
    canvas = np.zeros((CROP_PIXELS, CROP_PIXELS), np.uint8)
    cv2.fillPoly(canvas, [np.rint(points[list(LOWER_LIPS_OUTER)]).astype(np.int32)], 1)
    grown = cv2.dilate(canvas, np.ones((5, 5), np.uint8)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), 1.5), np.float32)


def _mirror(points: Points) -> Points:
    flipped = points[_MIRROR].copy()
    flipped[:, 0] = CROP_PIXELS - 1 - flipped[:, 0]
    return np.asarray(flipped, np.float32)
