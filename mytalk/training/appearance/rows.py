"""Makes one training row of the appearance model from aligned faces, by ``mytalk.appearance.network_inputs``."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.bank import Mouth, Neighbours, distances, half_size
from mytalk.appearance.colour_match import ColourMatcher
from mytalk.appearance.crop_frame import FACE, Window
from mytalk.appearance.mask import mouth_mask, moving_mask, painted_mask
from mytalk.appearance.mouth_interior import MouthInterior
from mytalk.appearance.network_inputs import (
    NetworkInputs,
    face_inputs,
    lip_picture,
    mouth_inputs,
    resized,
    resized_flow,
    sample,
    skin_colour,
    warp_mouth,
    window_of,
)
from mytalk.appearance.preset import AppearancePreset
from mytalk.appearance.reference_mean import reference_pictures
from mytalk.appearance.warp import GRID, Flow, Points, Target, displacement
from mytalk.face.landmarks import LIPS_OUTER, LOWER_FACE, MIRROR
from mytalk.face.pose import CROP_PIXELS

_LOWER, _OUTER = list(LOWER_FACE), list(LIPS_OUTER)
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
    flow = _skin_flow(scene.current.lower, scene.truth.lower)
    if flow is not None:
        around[crop] = sample(around[crop].astype(np.uint8), resized_flow(flow, preset.size))
    painted = resized(painted_mask(region, scene.truth.lower, flow), preset.size)
    truth = scene.truth.face.astype(np.float32)
    region, mouth = resized(region, preset.size), resized(mouth, preset.size)
    if preset.framing == "face":
        references = np.stack([lip_picture(one.face, one.lower, preset.masked) for one in scene.references])
        inputs = face_inputs(references, around, region, scene.truth.points)
        region, mouth = FACE.pad(region), FACE.pad(mouth)
    else:
        around, truth = around[crop], truth[crop]
        window = _moved(window_of(region, preset.window, preset.stem), moved, preset.size)
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
    target = Target(scene.truth.lower)
    matcher, interior = ColourMatcher(current, painted), MouthInterior(target.points, preset.size)
    crops = [np.ascontiguousarray(one.face[FACE.mouth(preset.size)]) for one in scene.references]
    points, half_crops = (
        np.stack([one.lower for one in scene.references]),
        np.stack([half_size(crop) for crop in crops]),
    )
    distance = distances(points, target.points)
    order = np.argsort(distance, kind="stable")
    around, crop = Neighbours(points[order], half_crops[order], distance[order]), crops[order[0]]
    first = Mouth(around.points[0], crop, crop, _IDENTITY, skin_colour(crop, around.points[0]))
    nearest = warp_mouth(first, target.warp_from(first.points), matcher, interior)
    return mouth_inputs(
        reference_pictures(nearest, around, target, matcher, preset.references), current, region, target.points, window
    )


def _skin_flow(inputs: Points, target_points: Points) -> Flow | None:
    """Returns how the current frame's skin follows the landmarks, as it does live; None: they have not moved."""
    if displacement(target_points, inputs) <= 1.0:
        return None
    return GRID + moving_mask(inputs, target_points)[..., None] * (Target(target_points).warp_from(inputs).flow - GRID)


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
