"""A still portrait stays alive: it blinks, and its head is never quite at rest.

Both are functions of the seed and of media time alone, and they bend the finished picture, mouth and all: the mouth is
made on the portrait as it is. Only pixels around the head change, and the further from the face the less.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.face.pose import fit_pose
from mytalk.face.tracker import Face
from mytalk.media_time import SAMPLE_RATE
from mytalk.picture import Box, Picture

Map = NDArray[np.float32]

SWAY = 0.012
"""Face widths that the head moves to either side at most."""

ROLL = 0.010
"""Radians that it leans."""

BLINK_SLOT = 2 * SAMPLE_RATE
"""Media time in which a portrait blinks once at most."""

BLINK_SHARE = 0.55
"""Slots that have a blink: one in 3.6 s, as people who listen."""

BLINK_YAW = 0.45
"""Radians: a face turned further does not blink, because the lids of its far eye are not found well enough."""

_CLOSING, _CLOSED, _OPENING = (SAMPLE_RATE * ms // 1000 for ms in (80, 40, 160))
_SHUT = 0.94  # of the eye's height: lashes meet before lids do
_LASHES = 0.35  # of the eye's height, above its upper lid: moves as one piece, because stretched lashes are a smear
_PERIODS = ((5.3, 3.1), (7.9, 4.3), (6.7, 9.1))  # seconds: across, up and down, leaning
_REACH = 1.15  # of the box around the face that moves along, in face sizes to each side

# Upper and lower lid from corner to corner, and the brow above: right eye (on the picture's left), then the left one.
_EYES = (
    (
        (33, 246, 161, 160, 159, 158, 157, 173, 133),
        (33, 7, 163, 144, 145, 153, 154, 155, 133),
        (46, 53, 52, 65, 55),
    ),
    (
        (362, 398, 384, 385, 386, 387, 388, 466, 263),
        (362, 382, 381, 380, 374, 373, 390, 249, 263),
        (285, 295, 282, 283, 276),
    ),
)


def eyelids(seed: int, at: int) -> float:
    """How far the lids are closed at media time ``at``, 0..1."""
    slot = at // BLINK_SLOT
    draw = np.random.Generator(np.random.Philox(key=seed, counter=slot)).random(2)
    length = _CLOSING + _CLOSED + _OPENING
    if draw[0] >= BLINK_SHARE:
        return 0.0
    since = at - slot * BLINK_SLOT - int(draw[1] * (BLINK_SLOT - length))
    if not 0 <= since < length:
        return 0.0
    if since < _CLOSING:
        return _eased(since / _CLOSING)
    return _eased(1 - max(0, since - _CLOSING - _CLOSED) / _OPENING)


def head_motion(seed: int, at: int) -> tuple[float, float, float]:
    """Where the head is at media time ``at``: across and down in face widths, and its lean in radians."""
    phases = np.random.Generator(np.random.Philox(key=seed, counter=1 << 40)).random((3, 2)) * 2 * np.pi
    seconds = at / SAMPLE_RATE
    across, down, lean = (
        sum(float(np.sin(2 * np.pi * seconds / period + phase)) for period, phase in zip(*one, strict=True)) / 2
        for one in zip(_PERIODS, phases.tolist(), strict=True)
    )
    return SWAY * across, 0.7 * SWAY * down, ROLL * lean


@dataclass(frozen=True, slots=True)
class _Eye:
    """One eye's place in the box: all maps ``(h, w)``, heights along its own upright axis in pixels."""

    part: tuple[slice, slice]
    height: Map  # of each pixel, from the line between the corners, downwards
    upper: Map  # of the upper lid there
    lower: Map
    brow: Map  # from where skin follows the lid
    down: tuple[float, float]  # the upright axis in the picture


class IdlePortrait:
    """Bends pictures that were made from one portrait, ``face`` being where it is there."""

    def __init__(self, portrait: Picture, face: Face, seed: int) -> None:
        self.portrait = portrait
        self._seed = seed
        x0, y0, x1, y1 = face.box
        size = max(x1 - x0, y1 - y0)
        self._width, self._middle = face.width, ((x0 + x1) / 2, (y0 + y1) / 2)
        self._pivot = (self._middle[0], y1)  # heads lean about the neck
        reach = _REACH * size
        box = (self._middle[0] - reach, self._middle[1] - reach, self._middle[0] + reach, self._middle[1] + reach)
        self._box: Box = portrait.even_box((int(box[0]), int(box[1]), int(box[2]), int(box[3])))
        left, top, right, bottom = self._box
        self._x, self._y = (plane.astype(np.float32) for plane in np.meshgrid(range(left, right), range(top, bottom)))
        far = np.hypot((self._x - self._middle[0]) / reach, (self._y - self._middle[1]) / reach)
        self._share = np.asarray(_smooth(np.clip((1 - far) / 0.5, 0, 1)), np.float32)  # 1 in the face, 0 at the rim
        edges = (self._x - left + 1, right - self._x, self._y - top + 1, bottom - self._y)
        inside = [edge for edge, cut in zip(edges, self._cut(portrait), strict=True) if not cut]
        if inside:
            self._share *= np.clip(np.minimum.reduce(inside) / 8, 0, 1)
        frontal = abs(fit_pose(face).yaw) <= BLINK_YAW
        self._eyes = [self._eye(face.points[:, :2], *lids) for lids in _EYES] if frontal else []

    def __call__(self, picture: Picture, at: int) -> Picture:
        """The picture as it is at media time ``at``."""
        across, down, lean = head_motion(self._seed, at)
        # Where each pixel comes from: the motion is small, so its inverse is its negative.
        from_x = self._x - self._share * (across * self._width - lean * (self._y - self._pivot[1]))
        from_y = self._y - self._share * (down * self._width + lean * (self._x - self._pivot[0]))
        closed = eyelids(self._seed, at)
        if closed > 0:
            for eye in self._eyes:
                drop = _lid_drop(eye, closed)
                from_x[eye.part] -= drop * eye.down[0]
                from_y[eye.part] -= drop * eye.down[1]
        return self._sampled(picture, from_x, from_y)

    def _sampled(self, picture: Picture, from_x: Map, from_y: Map) -> Picture:
        x0, y0, x1, y1 = self._box
        planes = []
        for plane, step in ((picture.y, 1), (picture.u, 2), (picture.v, 2)):
            xs, ys = (m[::step, ::step] / step for m in (from_x, from_y))
            out = plane.copy()
            part = (slice(y0 // step, y1 // step), slice(x0 // step, x1 // step))
            bent = cv2.remap(plane, xs, ys, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            np.copyto(out[part], bent, where=self._share[::step, ::step] > 0)
            planes.append(out)
        return replace(picture, y=planes[0], u=planes[1], v=planes[2])

    def _cut(self, portrait: Picture) -> tuple[bool, bool, bool, bool]:
        """Which sides of the box are the picture's own."""
        left, top, right, bottom = self._box
        return left == 0, right == portrait.width, top == 0, bottom == portrait.height

    def _eye(
        self, points: NDArray[np.float32], upper: tuple[int, ...], lower: tuple[int, ...], brow: tuple[int, ...]
    ) -> _Eye:
        corner, other = points[upper[0]], points[upper[-1]]
        length = float(np.hypot(*(other - corner)))
        along = (other - corner) / length
        down = np.array([-along[1], along[0]])
        low = np.floor(np.minimum(points[list(upper + brow)].min(axis=0), corner) - 2).astype(int)
        high = np.ceil(points[list(lower)].max(axis=0) + 2).astype(int)
        x0, y0, x1, y1 = self._box
        columns = slice(max(0, low[0] - x0), max(0, min(high[0], x1) - x0))
        rows = slice(max(0, low[1] - y0), max(0, min(high[1], y1) - y0))
        x, y = self._x[rows, columns] - corner[0], self._y[rows, columns] - corner[1]
        place, height = x * along[0] + y * along[1], x * down[0] + y * down[1]

        def curve(indices: tuple[int, ...]) -> Map:
            there = points[list(indices)] - corner
            order = np.argsort(there @ along)
            return np.asarray(np.interp(place, (there @ along)[order], (there @ down)[order]), np.float32)

        lid, floor = curve(upper), curve(lower)
        middle = (lid + curve(brow)) / 2
        return _Eye((rows, columns), height, lid, floor, np.minimum(middle, lid - 1), (float(down[0]), float(down[1])))


def _lid_drop(eye: _Eye, closed: float) -> Map:
    """From how far above each pixel of a closing eye comes: lashes move down with the lid, and the skin between them
    and the brow is drawn down over the eye."""
    tall = np.maximum(eye.lower - eye.upper, 0)
    moved = np.float32(closed * _SHUT) * tall
    lid = eye.upper + moved
    lashes = np.minimum(np.float32(_LASHES) * tall, 0.8 * (eye.upper - eye.brow))
    share = (eye.height - eye.brow) / np.maximum(lid - lashes - eye.brow, 1e-3)
    come_from = eye.brow + share * (eye.upper - lashes - eye.brow)
    come_from = np.where(eye.height > lid - lashes, eye.height - moved, come_from)
    covered = (eye.height > eye.brow) & (eye.height < lid)
    return np.where(covered, eye.height - come_from, 0).astype(np.float32)


def _smooth(share: Map) -> Map:
    return share * share * (3 - 2 * share)


def _eased(share: float) -> float:
    return share * share * (3 - 2 * share)
