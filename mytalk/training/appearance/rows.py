"""Makes one training row of the appearance model from aligned faces, by ``mytalk.appearance.network_inputs``."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.bank import distances, half_size
from mytalk.appearance.colour_match import matcher_of
from mytalk.appearance.crop_frame import FACE, Window
from mytalk.appearance.mask import mouth_mask, painted_mask
from mytalk.appearance.mesh import Points
from mytalk.appearance.network_inputs import (
    NetworkInputs,
    face_inputs,
    lip_picture,
    mouth_inputs,
    moved_skin,
    resized,
    skin_colour,
)
from mytalk.appearance.paint import follow, warp_mouth, window_of
from mytalk.appearance.preset import AppearancePreset
from mytalk.appearance.reference_mean import mean_changes
from mytalk.appearance.scene import Neighbours, Reference
from mytalk.appearance.warp import target_of
from mytalk.face.landmarks import LIPS_OUTER, LOWER_FACE, MIRROR
from mytalk.face.pose import CROP_PIXELS

_LOWER, _OUTER = list(LOWER_FACE), list(LIPS_OUTER)
_NO_PIXELS = (np.zeros((2, 2), np.uint8),) * 3  # the network sees the crop alone
_IDENTITY = np.array([[1, 0, 0], [0, 1, 0]], np.float32)

Field = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class AlignedFace:
    """Holds one aligned face and its landmarks: ``(F, F, 3)``, ``(478, 2)`` pixels of the 128 crop, whatever F is."""

    face: NDArray[np.uint8]
    points: Points

    @property
    def lower(self) -> Points:
        """Returns the lower face ``(169, 2)``."""
        return self.points[_LOWER]

    def mirrored(self) -> AlignedFace:
        """Mirrors face and landmarks."""
        points = self.points[MIRROR].copy()
        points[:, 0] = CROP_PIXELS - 1 - points[:, 0]
        return AlignedFace(np.ascontiguousarray(self.face[:, ::-1]), points)


@dataclass(frozen=True, slots=True)
class Scene:
    """Holds what a row is made of. ``truth`` has the wanted landmarks; ``current`` is the frame that it is painted
    into."""

    references: list[AlignedFace]
    current: AlignedFace
    truth: AlignedFace

    def mirrored(self) -> Scene:
        """Mirrors all faces."""
        return Scene([one.mirrored() for one in self.references], self.current.mirrored(), self.truth.mirrored())


def row_of(scene: Scene, preset: AppearancePreset, moved: tuple[int, int] = (0, 0)) -> dict[str, Field]:
    """Makes the arrays of a row, channels first, pictures in the network's units.

    ``references`` ``(R, 3, W, W)``; ``non_lip``, ``landmarks``, ``truth`` and ``pad`` (the current frame with its
    skin moved: what stays outside the region) ``(3, W, W)``; ``region`` and ``mouth`` (lips and what is between them)
    ``(1, W, W)`` in 0..1; ``mean`` ``(3,)`` and ``unit``, by which colours of 0..255 were taken away and divided.
    ``moved`` shifts the window within the mouth crop, in pixels.
    """
    region = mouth_mask(scene.truth.lower)
    mouth = _lips(scene.truth.points[_OUTER])
    crop = FACE.mouth(preset.size)
    around = scene.current.face.astype(np.float32)
    skin = follow(target_of(scene.truth.lower), scene.current.lower)
    if skin.moves:
        around[crop] = moved_skin(np.ascontiguousarray(around[crop]), skin)
    painted = resized(painted_mask(region, scene.truth.lower, skin.flow, skin.moves), preset.size)
    truth = scene.truth.face.astype(np.float32)
    region, mouth = resized(region, preset.size), resized(mouth, preset.size)
    if preset.framing == "face":
        references = np.stack([lip_picture(one.face, one.lower, preset.masked) for one in scene.references])
        inputs = face_inputs(references, around, region, scene.truth.points)
        region, mouth = FACE.pad(region), FACE.pad(mouth)
    else:
        around, truth = around[crop], truth[crop]
        row, column = window_of(region, preset.window, preset.stem)
        middle = slice(row, row + preset.window), slice(column, column + preset.window)
        window = _moved(middle, moved, preset.size)
        inputs = _mouth_inputs(scene, preset, around, region, painted, window)
        around, truth, region, mouth = around[window], truth[window], region[window], mouth[window]
    pictures = {
        "references": inputs.references,
        "non_lip": inputs.non_lip,
        "landmarks": inputs.landmarks,
        "around": inputs.exposure.normalise(around),
        "truth": inputs.exposure.normalise(truth),
    }
    return {
        **{name: np.ascontiguousarray(np.moveaxis(picture, -1, -3)) for name, picture in pictures.items()},
        "region": np.ascontiguousarray(region[None]),
        "mouth": np.ascontiguousarray(mouth[None]),
        "mean": inputs.exposure.mean,
        "unit": np.asarray(inputs.exposure.unit, np.float32),
    }


def _mouth_inputs(
    scene: Scene, preset: AppearancePreset, current: Field, region: Field, painted: Field, window: Window
) -> NetworkInputs:
    target = target_of(scene.truth.lower)
    matcher = matcher_of(np.ascontiguousarray(current), painted)
    crops = [np.ascontiguousarray(one.face[FACE.mouth(preset.size)]) for one in scene.references]
    points = np.stack([one.lower for one in scene.references])
    half_crops, distance = np.stack([half_size(crop) for crop in crops]), distances(points, target.points)
    order = np.argsort(distance, kind="stable")
    around, crop = Neighbours(points[order], half_crops[order], distance[order]), crops[order[0]]
    first = Reference(around.points[0], crop, *_NO_PIXELS, _IDENTITY, skin_colour(crop, around.points[0]))
    nearest = warp_mouth(first, target, matcher)
    seen = nearest.corrected
    changes = mean_changes(seen, nearest.kept, around, target, matcher, preset.references - 1)
    lips = np.concatenate([seen + changes, seen[None]])
    return mouth_inputs(lips, current, region, target.points, window)


def _moved(window: Window, by: tuple[int, int], size: int) -> Window:
    """Moves a window within the crop."""
    starts = [
        min(max(span.start + shift, 0), size - (span.stop - span.start)) for span, shift in zip(window, by, strict=True)
    ]
    rows, columns = (slice(start, start + span.stop - span.start) for start, span in zip(starts, window, strict=True))
    return rows, columns


def _lips(outer: Points) -> Field:
    canvas = np.zeros((CROP_PIXELS, CROP_PIXELS), np.uint8)
    cv2.fillPoly(canvas, [np.rint(outer).astype(np.int32)], 1)
    grown = cv2.dilate(canvas, np.ones((5, 5), np.uint8)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(grown, (0, 0), 1.5), np.float32)
