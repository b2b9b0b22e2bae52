"""Turns the head of a still picture: a smooth displacement of its pixels, from a surface of depth.

The face's depth is that of its landmarks, and the rest of the head is an ellipsoid about them: a turn moves what is in
front of the head's middle most, and its outline hardly. Neck, shoulders and background follow less and less, and the
picture's borders stand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.errors import OptionError
from mytalk.face.face import Face
from mytalk.face.pose import HeadPose, fit_pose
from mytalk.picture import Box, Picture
from mytalk.smoothstep import smoothstep

Field = NDArray[np.float32]

MAX_YAW, MAX_PITCH, MAX_ROLL = 20.0, 15.0, 10.0
"""Degrees to either side up to which pictures hold up: further on, the far cheek folds and straight lines bend."""

MAX_SHIFT = 0.1
"""Face widths to either side up to which pictures hold up."""

MAX_SEEN_YAW = 40.0
"""Degrees from the front up to which a face may be turned in all: further on, the nose covers what was never seen."""

CELLS_PER_FACE = 24
"""Cells of the grid to a face's width: the field between them is linear."""

BORDER_FADE = 0.3
"""Face widths from the border of what moves over which motion fades in."""

# The head in canonical units: middle, and half its width, height and depth. Dreyfuss' mean head, 62 mm to the unit.
HEAD_MIDDLE = (0.0, 0.2, 1.0)
HEAD_RADII = (1.3, 2.0, 1.35)

PIVOT = (0.0, 1.4, 1.0)
"""Canonical point that heads lean and turn about: in the neck, behind the chin."""

HAIR = 1.15
"""Head radii up to which all of the head moves as one: hair lies on it."""

FADE_END = 2.1
"""Head radii from which on nothing moves: background."""

_NEAR_SIGMA, _FAR_SIGMA = 0.12, 0.35  # canonical units that a landmark's depth spreads over
_FAR_WEIGHT = 0.03  # of the far kernel, which counts where landmarks are apart
_KNOWN_WEIGHT = 0.02  # sum of weights at which half of the depth is the ellipsoid's
_INVERSIONS = 5  # steps of the fixed point: displacements have slopes below 0.6, so it leaves 0.1 of a pixel at most


@dataclass(frozen=True, slots=True)
class Turn:
    """Says how a head is turned from how it is in its picture: degrees, and shares of the face's width.

    ``yaw`` to the picture's right, ``pitch`` upwards, ``roll`` clockwise as seen; ``across`` to the right and ``down``
    move it.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    across: float = 0.0
    down: float = 0.0

    def numbers(self) -> NDArray[np.float64]:
        """Returns yaw, pitch, roll, across and down, ``(5,)``."""
        return np.array([self.yaw, self.pitch, self.roll, self.across, self.down])

    def rotation(self) -> NDArray[np.float64]:
        """Returns the rotation in the head's own frame ``(3, 3)``: x to the right, y down, z away from the camera."""
        yaw, pitch, roll = np.radians((self.yaw, self.pitch, self.roll))
        (sy, cy), (sp, cp), (sr, cr) = ((np.sin(a), np.cos(a)) for a in (-yaw, -pitch, roll))
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        return np.asarray(about_z @ about_y @ about_x)


STRAIGHT = Turn()
"""A head as it is in its picture."""


@dataclass(frozen=True, slots=True)
class YawRoom:
    """Says how far a face that is turned already can be turned in its picture: degrees, ``yaw`` of a `Turn`."""

    own: float  # how far it is turned
    least: float
    most: float

    @classmethod
    def of(cls, face: Face) -> YawRoom:
        """Returns the room that the picture of a face has."""
        own = -float(np.degrees(fit_pose(face).yaw))
        return cls(own, min(-MAX_SEEN_YAW - own, 0.0), max(MAX_SEEN_YAW - own, 0.0))

    def check(self, yaw: float) -> None:
        """Raises OptionError, which names the range, for a yaw by which the picture does not hold up."""
        least, most = max(self.least, -MAX_YAW), min(self.most, MAX_YAW)
        if not least <= yaw <= most:
            raise OptionError(
                f"head_pose yaw {yaw:g}: the portrait's face is turned by {self.own:.0f} degrees already "
                f"(need {least:.0f} to {most:.0f} degrees)"
            )

    def held(self, turn: Turn) -> Turn:
        """Ends a turn where the picture does not stand more."""
        yaw = min(max(turn.yaw, self.least), self.most)
        return turn if yaw == turn.yaw else replace(turn, yaw=yaw)


class Grid:
    """Holds the cells of the box of a portrait that may move. Fields ``(h, w, k)`` have a value for each."""

    def __init__(self, portrait: Picture, face: Face) -> None:
        self.box: Box = portrait.even_box(_moving_box(fit_pose(face)))
        left, top, right, bottom = self.box
        self.width, self.height = right - left, bottom - top
        cell = face.width / CELLS_PER_FACE
        self.columns, self.rows = max(8, round(self.width / cell)), max(8, round(self.height / cell))
        self.per_pixel = np.array([self.columns / self.width, self.rows / self.height], np.float32)
        xs = (np.arange(self.columns) + 0.5) / self.per_pixel[0] - 0.5 + left
        ys = (np.arange(self.rows) + 0.5) / self.per_pixel[1] - 0.5 + top
        self.points = np.stack(np.meshgrid(xs, ys), axis=-1).astype(np.float32)  # (h, w, 2): picture pixels
        index = np.meshgrid(np.arange(self.columns), np.arange(self.rows))
        self._index = np.stack(index, axis=-1).astype(np.float32)
        self.inside = self._inside(portrait, BORDER_FADE * face.width)

    def _inside(self, portrait: Picture, fade: float) -> Field:
        """Returns how far each cell may move across and down, ``(h, w, 2)``: not over the border of what moves.

        Along the picture's own border it may: what is cut off there goes on.
        """
        left, top, right, bottom = self.box
        x, y = self.points[..., 0], self.points[..., 1]
        one = np.float32(1)
        sides = [_step(edge / fade) for edge in (x - x[0, 0], x[0, -1] - x, y - y[0, 0], y[-1, 0] - y)]
        own = left == 0, right == portrait.width, top == 0, bottom == portrait.height
        along = [one if cut else side for side, cut in zip(sides, own, strict=True)]
        return np.stack([sides[0] * sides[1] * along[2] * along[3], along[0] * along[1] * sides[2] * sides[3]], axis=-1)

    def inverse(self, displacement: Field) -> Field:
        """Returns where each cell's picture comes from, ``(h, w, 2)`` pixels from its own place, for where each goes.

        A fixed point: ``b(q) = -d(q + b(q))``.
        """
        back = -displacement
        for _ in range(_INVERSIONS):
            at = self._index + back * self.per_pixel
            back = np.float32(0.5) * (back - _sampled(displacement, at))
        return back


class HeadSurface:
    """Holds the depth of a portrait's head, and how far each place moves with it."""

    def __init__(self, grid: Grid, face: Face) -> None:
        self._pose = pose = fit_pose(face)
        middle = pose.to_frame(np.array(HEAD_MIDDLE, np.float32))
        self._pivot = pose.to_frame(np.array(PIVOT, np.float32))
        self._width = face.width
        relative = (grid.points - middle[:2]) / np.float32(pose.scale)  # canonical units, in the picture's own axes
        depth, radius = _ellipsoid(pose, relative)
        own = np.asarray((face.points - middle) / pose.scale, np.float32)
        depth = depth + _spread(relative, own[:, :2], own[:, 2] - _ellipsoid(pose, own[:, :2])[0])
        self._depth = depth * np.float32(pose.scale) + (middle[2] - self._pivot[2])  # from the pivot, pixels
        self._around = grid.points - self._pivot[:2]
        with_head = 1 - _step((radius - HAIR) / (FADE_END - HAIR))
        self._weight = grid.inside * with_head[..., None]  # (h, w, 2)

    def displacement(self, turn: Turn) -> Field:
        """Returns how far each cell's picture goes, ``(h, w, 2)`` pixels."""
        own = self._pose.rotation.astype(np.float64)
        change = (own @ turn.rotation() @ own.T - np.eye(3)).astype(np.float32)
        x, y = self._around[..., 0], self._around[..., 1]
        shift = (turn.across * self._width, turn.down * self._width)
        moved = [
            change[k, 0] * x + change[k, 1] * y + change[k, 2] * self._depth + np.float32(shift[k]) for k in (0, 1)
        ]
        return np.asarray(self._weight * np.stack(moved, axis=-1), np.float32)


def _moving_box(pose: HeadPose) -> Box:
    """Returns the box around all that moves with a head: the outline of its ellipsoid, grown."""
    middle = pose.to_frame(np.array(HEAD_MIDDLE, np.float32))[:2]
    form = (pose.rotation * np.square(HEAD_RADII)) @ pose.rotation.T
    reach = FADE_END * pose.scale * np.sqrt(np.diag(form)[:2])
    low, high = np.floor(middle - reach), np.ceil(middle + reach)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _ellipsoid(pose: HeadPose, at: Field) -> tuple[Field, Field]:
    """Returns the depth of the head's front at places ``(..., 2)`` from its middle, and how many radii of its outline
    each is away from there. Level at the outline, where a true ellipsoid's depth falls too steeply for one picture."""
    rotation = pose.rotation.astype(np.float64)
    form = (rotation / np.square(HEAD_RADII)) @ rotation.T
    x, y = at[..., 0], at[..., 1]
    half = form[0, 2] * x + form[1, 2] * y
    rest = form[0, 0] * x * x + 2 * form[0, 1] * x * y + form[1, 1] * y * y
    outline = rest - half * half / form[2, 2]  # squared radii of the outline
    front = np.square(np.maximum(1 - outline / HAIR**2, 0)) / np.sqrt(form[2, 2])
    return np.asarray(-half / form[2, 2] - front, np.float32), np.sqrt(np.maximum(outline, 0)).astype(np.float32)


def _spread(at: Field, points: Field, values: Field) -> Field:
    """Spreads values of points ``(N,)`` over places ``(h, w, 2)``: a mean by distance, 0 far from all points."""
    total = np.zeros(at.shape[:2], np.float64)
    weights = np.zeros(at.shape[:2], np.float64)
    for point, value in zip(points, values, strict=True):
        squared = np.square(at - point).sum(axis=-1)
        weight = np.exp(-squared / (2 * _NEAR_SIGMA**2)) + _FAR_WEIGHT * np.exp(-squared / (2 * _FAR_SIGMA**2))
        total += weight * value
        weights += weight
    return np.asarray(total / (weights + _KNOWN_WEIGHT), np.float32)


def _sampled(field: Field, at: Field) -> Field:
    """Samples a field ``(h, w, 2)`` at places ``(h, w, 2)`` in cells, by linear interpolation."""
    return np.asarray(cv2.remap(field, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _step(share: Field) -> Field:
    return np.asarray(smoothstep(np.clip(share, 0, 1)), np.float32)
