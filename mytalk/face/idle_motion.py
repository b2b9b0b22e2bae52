"""Animates a still portrait: it blinks, and its head is never quite at rest.

Both are functions of the seed and of media time alone, and warp the finished picture, mouth and all: the mouth is
rendered on the portrait as it is. Only pixels around the head change, and the further from the face the less.
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
from mytalk.smoothstep import smoothstep

Map = NDArray[np.float32]

SWAY = 0.012
"""Face widths that the head moves to either side at most."""

ROLL = 0.010
"""Radians that the head leans at most."""

BLINK_SLOT = 2 * SAMPLE_RATE
"""Media time, samples, in which a portrait blinks once at most."""

BLINK_SHARE = 0.55
"""Share of slots that have a blink: one blink in 3.6 s, as of people who listen."""

BLINK_YAW = 0.45
"""Radians: a face turned further does not blink, because the lids of its far eye are not found well enough."""

_CLOSING, _CLOSED, _OPENING = (SAMPLE_RATE * ms // 1000 for ms in (80, 40, 160))
_LID_TRAVEL = 0.94  # share of the eye's height that the lid moves: lashes meet before lids do
_LASH_HEIGHT = 0.35  # share of the eye's height above its upper lid that moves as one piece: stretched lashes smear
_SWAY_PERIODS = ((5.3, 3.1), (7.9, 4.3), (6.7, 9.1))  # seconds of two sines each: across, up and down, leaning
_MOVING_REACH = 1.15  # face sizes to each side of the face's middle that move along
_FADE_WIDTH = 0.5  # share of that distance over which motion fades out
_EDGE_FADE = 8  # pixels from the edge of the moving box over which motion fades out

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
    """Returns how far the lids are closed at media time ``at``, 0..1."""
    slot = at // BLINK_SLOT
    draw = np.random.Generator(np.random.Philox(key=seed, counter=slot)).random(2)
    length = _CLOSING + _CLOSED + _OPENING
    if draw[0] >= BLINK_SHARE:
        return 0.0
    since = at - slot * BLINK_SLOT - int(draw[1] * (BLINK_SLOT - length))
    if not 0 <= since < length:
        return 0.0
    if since < _CLOSING:
        return smoothstep(since / _CLOSING)
    return smoothstep(1 - max(0, since - _CLOSING - _CLOSED) / _OPENING)


def head_motion(seed: int, at: int) -> tuple[float, float, float]:
    """Returns where the head is at media time ``at``: across and down in face widths, and its lean in radians."""
    phases = np.random.Generator(np.random.Philox(key=seed, counter=1 << 40)).random((3, 2)) * 2 * np.pi
    seconds = at / SAMPLE_RATE
    across, down, lean = (
        sum(float(np.sin(2 * np.pi * seconds / period + phase)) for period, phase in zip(*one, strict=True)) / 2
        for one in zip(_SWAY_PERIODS, phases.tolist(), strict=True)
    )
    return SWAY * across, 0.7 * SWAY * down, ROLL * lean


@dataclass(frozen=True, slots=True)
class _Eye:
    """Maps one eye's place in the box, ``(h, w)`` each: heights along its own upright axis, pixels."""

    part: tuple[slice, slice]
    height: Map  # of each pixel, from the line between the corners, downwards
    upper: Map  # of the upper lid there
    lower: Map
    brow: Map  # from where skin follows the lid
    down: tuple[float, float]  # the upright axis in the picture


class IdlePortrait:
    """Warps pictures that were made from one portrait, whose face is ``face``."""

    def __init__(self, portrait: Picture, face: Face, seed: int) -> None:
        self.portrait = portrait
        self._seed = seed
        x0, y0, x1, y1 = face.box
        size = max(x1 - x0, y1 - y0)
        self._width, self._middle = face.width, ((x0 + x1) / 2, (y0 + y1) / 2)
        self._pivot = (self._middle[0], y1)  # heads lean about the neck
        reach = _MOVING_REACH * size
        box = (self._middle[0] - reach, self._middle[1] - reach, self._middle[0] + reach, self._middle[1] + reach)
        self._box: Box = portrait.even_box((int(box[0]), int(box[1]), int(box[2]), int(box[3])))
        left, top, right, bottom = self._box
        self._x, self._y = (plane.astype(np.float32) for plane in np.meshgrid(range(left, right), range(top, bottom)))
        far = np.hypot((self._x - self._middle[0]) / reach, (self._y - self._middle[1]) / reach)
        inner = np.clip((1 - far) / _FADE_WIDTH, 0, 1)
        self._weight = np.asarray(smoothstep(inner), np.float32)  # 1 in the face, 0 at the border
        edges = (self._x - left + 1, right - self._x, self._y - top + 1, bottom - self._y)
        inside = [edge for edge, cut in zip(edges, self._cut(portrait), strict=True) if not cut]
        if inside:
            self._weight *= np.clip(np.minimum.reduce(inside) / _EDGE_FADE, 0, 1)
        frontal = abs(fit_pose(face).yaw) <= BLINK_YAW
        self._eyes = [self._eye(face.points[:, :2], *lids) for lids in _EYES] if frontal else []

    def __call__(self, picture: Picture, at: int) -> Picture:
        """Returns the picture as it is at media time ``at``."""
        return self.posed(picture, *head_motion(self._seed, at), eyelids(self._seed, at))

    def posed(self, picture: Picture, across: float, down: float, lean: float, closed: float) -> Picture:
        """Returns the picture with its head moved across and down by face widths and leant by radians, and its lids
        closed so far, 0..1."""
        # Where each pixel comes from: the motion is small, so its inverse is its negative.
        from_x = self._x - self._weight * (across * self._width - lean * (self._y - self._pivot[1]))
        from_y = self._y - self._weight * (down * self._width + lean * (self._x - self._pivot[0]))
        if closed > 0:
            for eye in self._eyes:
                drop = _lid_drop(eye, closed)
                from_x[eye.part] -= drop * eye.down[0]
                from_y[eye.part] -= drop * eye.down[1]
        return self._sampled(picture, from_x, from_y)

    def _sampled(self, picture: Picture, from_x: Map, from_y: Map) -> Picture:
        x0, y0, x1, y1 = self._box
        matte = picture.matte
        alpha = () if matte is None else ((matte.alpha, 1),)
        planes = []
        for plane, step in ((picture.y, 1), (picture.u, 2), (picture.v, 2), *alpha):
            xs, ys = (m[::step, ::step] / step for m in (from_x, from_y))
            out = plane.copy()
            part = (slice(y0 // step, y1 // step), slice(x0 // step, x1 // step))
            warped = cv2.remap(plane, xs, ys, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            np.copyto(out[part], warped, where=self._weight[::step, ::step] > 0)
            planes.append(out)
        moved = matte if matte is None else replace(matte, alpha=planes[3])
        return replace(picture, y=planes[0], u=planes[1], v=planes[2], matte=moved)

    def _cut(self, portrait: Picture) -> tuple[bool, bool, bool, bool]:
        """Says which sides of the box are the picture's own."""
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
        along_lid, height = x * along[0] + y * along[1], x * down[0] + y * down[1]

        def curve(indices: tuple[int, ...]) -> Map:
            there = points[list(indices)] - corner
            order = np.argsort(there @ along)
            return np.asarray(np.interp(along_lid, (there @ along)[order], (there @ down)[order]), np.float32)

        lid, floor = curve(upper), curve(lower)
        middle = (lid + curve(brow)) / 2
        return _Eye((rows, columns), height, lid, floor, np.minimum(middle, lid - 1), (float(down[0]), float(down[1])))


def _lid_drop(eye: _Eye, closed: float) -> Map:
    """Returns from how far above each pixel of a closing eye comes, pixels: lashes move with the lid, and the skin
    up to the brow is drawn down over the eye."""
    eye_height = np.maximum(eye.lower - eye.upper, 0)
    moved = np.float32(closed * _LID_TRAVEL) * eye_height
    lid = eye.upper + moved
    lashes = np.minimum(np.float32(_LASH_HEIGHT) * eye_height, 0.8 * (eye.upper - eye.brow))
    share = (eye.height - eye.brow) / np.maximum(lid - lashes - eye.brow, 1e-3)
    source = eye.brow + share * (eye.upper - lashes - eye.brow)
    source = np.where(eye.height > lid - lashes, eye.height - moved, source)
    covered = (eye.height > eye.brow) & (eye.height < lid)
    return np.where(covered, eye.height - source, 0).astype(np.float32)
