"""Moves the brows of a still picture, by Ekman's action units on the mesh's own points.

Source: Ekman, Friesen and Hager 2002, Facial Action Coding System. How far each unit goes is by hand, by looking at
portraits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytalk.face.face import Face
from mytalk.face.head_turn import Field, Grid
from mytalk.face.pose import fit_pose
from mytalk.smoothstep import smoothstep

INNER_BROW_RAISE = 0.16
"""Eye distances that the inner end of a brow rises at most: action unit 1."""

OUTER_BROW_RAISE = 0.14
"""Eye distances that its outer end rises at most: action unit 2."""

BROW_LOWER = 0.10
"""Eye distances that a brow is lowered at most, and half of that drawn to the other: action unit 4."""

_WIDTH = 0.22  # eye distances that a brow's motion spreads along it
_UP = 0.50  # eye distances above the brow over which skin moves less and less; below, as far as the lid

# Brows from the inner end outwards, as points of the upper edge and the lower one; upper lids below them.
_BROWS = (
    ((107, 66, 105, 63, 70), (55, 65, 52, 53, 46), (133, 173, 157, 158, 159, 160, 161, 246, 33)),
    ((336, 296, 334, 293, 300), (285, 295, 282, 283, 276), (362, 398, 384, 385, 386, 387, 388, 466, 263)),
)


@dataclass(frozen=True, slots=True)
class UpperFace:
    """Says how strongly each action unit of the upper face is shown, 0..1: of brows ``inner`` (1), ``outer`` (2) and
    ``lowered`` (4), of lids ``upper`` (5 raises, below 0 droops) and ``lower`` (7)."""

    inner: float = 0.0
    outer: float = 0.0
    lowered: float = 0.0
    upper: float = 0.0
    lower: float = 0.0


NEUTRAL = UpperFace()
"""Brows and lids as they are in their picture."""


class Brows:
    """Holds where the brows of a portrait are, as fields that each action unit moves."""

    def __init__(self, grid: Grid, face: Face) -> None:
        pose = fit_pose(face)
        scale = np.float32(pose.scale)
        right, down = pose.rotation[:2, 0], pose.rotation[:2, 1]  # the face's own axes in the picture
        points = face.points[:, :2]
        fields = np.zeros((3, *grid.points.shape), np.float32)  # inner, outer, lowered
        for side, (upper, lower, lid) in zip((1, -1), _BROWS, strict=True):
            curves = [points[list(indices)] for indices in (upper, lower, lid)]
            along, height = _places(grid.points, curves, scale, down)
            ends = (_near(along, 0.15), _near(along, 0.85))
            fields[0] -= (scale * INNER_BROW_RAISE * height * ends[0])[..., None] * down
            fields[1] -= (scale * OUTER_BROW_RAISE * height * ends[1])[..., None] * down
            both = height * np.maximum(ends[0], ends[1])
            fields[2] += (scale * BROW_LOWER * both)[..., None] * (down + np.float32(0.5 * side) * right)
        self._fields = fields * grid.inside

    def displacement(self, state: UpperFace) -> Field:
        """Returns how far each cell's picture goes, ``(h, w, 2)`` pixels."""
        weights = np.array([state.inner, state.outer, state.lowered], np.float32)
        return np.asarray(np.tensordot(weights, self._fields, axes=1), np.float32)


def _places(
    at: Field, curves: list[NDArray[np.float32]], scale: np.float32, down: NDArray[np.float32]
) -> tuple[Field, Field]:
    """Returns how far along a brow each place is, 0 at its inner end and 1 at its outer one, and how far it moves with
    it, 0..1: nothing does from the lid on downwards. ``curves`` are its upper edge, its lower one, and the lid."""
    brow = (curves[0] + curves[1]) / 2
    axis = brow[-1] - brow[0]
    length = float(np.hypot(*axis))
    axis = axis / length
    upright = down - axis * float(down @ axis)
    upright = upright / float(np.hypot(*upright))

    def own(points: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return (points - brow[0]) @ axis, (points - brow[0]) @ upright

    along, depth = own(at)
    top, bottom, roof = (np.interp(along, *_sorted(*own(curve))) for curve in curves)
    below = (depth - bottom) / np.maximum(roof - bottom, 1.0)
    above = (top - depth) / (_UP * scale)
    sideways = np.maximum(np.maximum(-along, along - length), 0) / (2 * _WIDTH * scale)
    fade = [np.asarray(smoothstep(np.clip(1 - part, 0, 1)), np.float32) for part in (below, above, sideways)]
    return np.asarray(along / length, np.float32), fade[0] * fade[1] * fade[2]


def _near(along: Field, middle: float) -> Field:
    """Returns 1 at one end of a brow, and 0 past the other."""
    return np.asarray(smoothstep(np.clip(1 - np.abs(along - middle) / 0.7, 0, 1)), np.float32)


def _sorted(along: NDArray[np.float32], depth: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    order = np.argsort(along)
    return along[order], depth[order]
