"""Moves the eyes of a still picture: lids close and rise, irises turn within the opening, skin follows the lids.

All is done on the picture as it is, before its head turns. A lid is a curve through its landmarks, and what lies above
or below it is stretched along the eye's own upright axis; what lies between the lids is the eyeball, shifted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.face.face import Face
from mytalk.face.pose import fit_pose
from mytalk.picture import Box, Picture

Map = NDArray[np.float32]

MAX_EYE_YAW = 0.45
"""Radians: the eyes of a face turned further stand still, because the lids of its far eye are not found well enough."""

MAX_GAZE_YAW, MAX_GAZE_PITCH = 20.0, 10.0
"""Degrees to either side up to which eyes hold up: further up, what a lid hid of the eyeball shows."""

LID_RAISE = 0.3
"""Share of the eye's height by which a lid rises at most: Ekman's action units 5 (upper) and 7 (lower)."""

LID_FOLLOWS = 0.75
"""Share of the iris' way up or down that the upper lid goes along."""

LOWER_LID_FOLLOWS = 0.3
"""And that the lower lid does."""

EYEBALL = 2.05
"""Radii of the iris to that of the eyeball: 12.0 mm to 5.85 mm in adults."""

_LASH_HEIGHT = 0.35  # share of the eye's height above its upper lid that moves as one piece: stretched lashes smear
_BAG_HEIGHT = 1.0  # eye heights below the lower lid over which the skin follows it
_MARGIN = 0.1  # share of the eye's height at its lids that is not taken for eyeball when the iris turns
_SOFT = 0.7  # pixels over which the lid's edge goes over into the eyeball
_STILL = 1e-3  # pixels: eyes that move less are left to the bit

# Upper and lower lid from corner to corner, brow above, iris (middle, then ring): right eye (on the picture's left).
_EYES = (
    (
        (33, 246, 161, 160, 159, 158, 157, 173, 133),
        (33, 7, 163, 144, 145, 153, 154, 155, 133),
        (46, 53, 52, 65, 55),
        (468, 469, 470, 471, 472),
    ),
    (
        (362, 398, 384, 385, 386, 387, 388, 466, 263),
        (362, 382, 381, 380, 374, 373, 390, 249, 263),
        (285, 295, 282, 283, 276),
        (473, 474, 475, 476, 477),
    ),
)


@dataclass(frozen=True, slots=True)
class EyeState:
    """Says how eyes stand, from how they are in the picture.

    ``closed`` 0..1; ``yaw`` and ``pitch`` in degrees, to the picture's right and up; ``upper`` and ``lower`` are how
    far each lid is raised, -1..1.
    """

    closed: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0
    upper: float = 0.0
    lower: float = 0.0


AS_SEEN = EyeState()
"""Eyes as they are in their picture."""


class _Eye:
    """Holds one eye's place. Maps are ``(h, w)`` of its part of the picture; along its axis from corner to corner and
    down its upright one, pixels."""

    def __init__(self, picture: Picture, points: NDArray[np.float32], indices: tuple[tuple[int, ...], ...]) -> None:
        upper, lower, brow, iris = (points[list(one)] for one in indices)
        corner = upper[0]
        length = float(np.hypot(*(upper[-1] - corner)))
        axis = (upper[-1] - corner) / length
        self.axes = np.stack([axis, [-axis[1], axis[0]]]).astype(np.float32)  # along, down
        opening = float((_own(lower, corner, self.axes)[:, 1] - _own(upper, corner, self.axes)[:, 1]).max())
        self.opening = max(opening, 1.0)
        low = np.floor(np.concatenate([upper, lower, brow]).min(axis=0) - 2)
        high = np.ceil(np.concatenate([upper, lower]).max(axis=0) + 2 + _BAG_HEIGHT * self.opening)
        self.box: Box = picture.even_box((int(low[0]), int(low[1]), int(high[0]), int(high[1])))
        x0, y0, x1, y1 = self.box
        grid = np.stack(np.meshgrid(np.arange(x0, x1), np.arange(y0, y1)), axis=-1).astype(np.float32)
        own = _own(grid, corner, self.axes)
        self.along, self.height = own[..., 0], own[..., 1]
        curves = [_own(curve, corner, self.axes) for curve in (upper, lower, brow)]
        self._curves = [curve[np.argsort(curve[:, 0])] for curve in curves]
        self.upper, self.lower = self.lids(self.along)
        middle = (self.upper + self._curve(2, self.along)) / 2
        self.brow = np.minimum(middle, self.upper - 1)  # from where skin follows the lid
        self.length = length
        ring = _own(iris[1:], corner, self.axes)
        self.iris = float(ring[:, 0].mean())
        self.radius = max(float(np.hypot(*(ring - ring.mean(axis=0)).T).mean()), 1.0)

    def lids(self, along: Map) -> tuple[Map, Map]:
        """Returns the heights of upper and lower lid at places along the eye."""
        upper, lower = self._curve(0, along), self._curve(1, along)
        return upper, np.maximum(lower, upper)

    def _curve(self, which: int, along: Map) -> Map:
        curve = self._curves[which]
        return np.asarray(np.interp(along, curve[:, 0], curve[:, 1]), np.float32)


class Eyes:
    """Moves both eyes of one portrait."""

    def __init__(self, portrait: Picture, face: Face) -> None:
        frontal = abs(fit_pose(face).yaw) <= MAX_EYE_YAW
        self._eyes = [_Eye(portrait, face.points[:, :2], indices) for indices in _EYES] if frontal else []

    def __call__(self, picture: Picture, state: EyeState) -> Picture:
        """Returns the picture with its eyes as ``state`` has them; where they are as they were, the same picture."""
        if state == AS_SEEN or not self._eyes:
            return picture
        y, u, v = picture.y.copy(), picture.u.copy(), picture.v.copy()
        for eye in self._eyes:
            skin, ball, share = _sources(eye, state)
            for plane, source, step in ((y, picture.y, 1), (u, picture.u, 2), (v, picture.v, 2)):
                _paint(plane, source, eye, skin, ball, share, step)
        return replace(picture, y=y, u=u, v=v)


def _sources(eye: _Eye, state: EyeState) -> tuple[Map, Map, Map]:
    """Returns where skin comes from and where eyeball does, pixels of the eye's own axes from each place ``(h, w, 2)``,
    and the share of eyeball ``(h, w)``."""
    gap = np.maximum(eye.lower - eye.upper, 0)
    ball = EYEBALL * eye.radius
    across, down = (ball * float(np.sin(np.radians(angle))) for angle in (state.yaw, -state.pitch))
    open_share = gap / np.float32(eye.opening)  # 1 at the middle, 0 in the corners
    raised = np.float32(LID_RAISE * eye.opening)
    upper = eye.upper + open_share * (np.float32(LID_FOLLOWS * down) - raised * np.float32(state.upper))
    lower = eye.lower + open_share * (np.float32(LOWER_LID_FOLLOWS * down) - raised * np.float32(state.lower))
    upper = upper + np.float32(state.closed) * np.maximum(lower - upper, 0)
    upper = np.minimum(upper, lower)
    skin = np.where(eye.height < (upper + lower) / 2, _above(eye, upper), _below(eye, lower))
    from_x, from_y = _eyeball(eye, across, down)
    inside = np.minimum(eye.height - upper, lower - eye.height) / np.float32(_SOFT) + np.float32(0.5)
    sideways = np.minimum(eye.along, eye.length - eye.along)
    share = np.clip(inside, 0, 1) * np.clip(sideways, 0, 1) * np.clip((lower - upper) / np.float32(_SOFT), 0, 1)
    return np.stack([np.zeros_like(skin), skin], -1), np.stack([from_x, from_y], -1), share


def _above(eye: _Eye, lid: Map) -> Map:
    """Returns from how far down each place above a moved upper lid comes: lashes move with the lid, and the skin up to
    the brow is stretched."""
    moved = lid - eye.upper
    lashes = np.minimum(np.float32(_LASH_HEIGHT) * (eye.lower - eye.upper), 0.8 * (eye.upper - eye.brow))
    end = np.maximum(lid - lashes, eye.brow + 0.2 * (eye.upper - eye.brow))
    share = (eye.height - eye.brow) / np.maximum(end - eye.brow, 1e-3)
    source = eye.brow + share * (end - moved - eye.brow)
    source = np.where(eye.height > end, eye.height - moved, source)
    return np.where(eye.height > eye.brow, source - eye.height, 0).astype(np.float32)


def _below(eye: _Eye, lid: Map) -> Map:
    """Returns from how far down each place below a moved lower lid comes: the skin below is stretched."""
    end = eye.lower + np.float32(_BAG_HEIGHT * eye.opening)
    share = (end - eye.height) / np.maximum(end - lid, 1e-3)
    return np.where(eye.height < end, end - share * (end - eye.lower) - eye.height, 0).astype(np.float32)


def _eyeball(eye: _Eye, across: float, down: float) -> tuple[Map, Map]:
    """Returns from how far along and down each place of the eyeball comes, its iris moved.

    The iris moves as one piece, and the white beside it is stretched. What a lid hid comes from beside that lid.
    """
    left, right = eye.iris - eye.radius, eye.iris + eye.radius
    edge = max(1.0, 0.1 * eye.radius)
    ends = (min(0.0, left + min(across, 0.0) - edge), max(eye.length, right + max(across, 0.0) + edge))
    knots = [ends[0], left + across, right + across, ends[1]]
    source = np.interp(eye.along, knots, [ends[0], left, right, ends[1]]).astype(np.float32)
    if abs(across) < _STILL and abs(down) < _STILL:
        return np.zeros_like(source), np.zeros_like(source)
    upper, lower = eye.lids(source)
    margin = np.float32(_MARGIN * min(1.0, np.hypot(across, down) / eye.radius)) * (lower - upper)
    height = np.clip(eye.height - np.float32(down), upper + margin, np.maximum(lower - margin, upper + margin))
    return source - eye.along, height - eye.height


def _paint(
    plane: NDArray[np.uint8], source: NDArray[np.uint8], eye: _Eye, skin: Map, ball: Map, share: Map, step: int
) -> None:
    """Writes one plane's part of an eye: skin, and over it eyeball by its share."""
    x0, y0, x1, y1 = (edge // step for edge in eye.box)
    if step > 1:
        size = (x1 - x0, y1 - y0)
        skin, ball, share = (cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in (skin, ball, share))
    at = np.stack(np.meshgrid(np.arange(x0, x1), np.arange(y0, y1)), axis=-1).astype(np.float32)
    seen = [
        cv2.remap(source, at + moved @ eye.axes / step, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        for moved in (skin, ball)
    ]
    mixed = seen[0] + share * (seen[1].astype(np.float32) - seen[0])
    plane[y0:y1, x0:x1] = np.rint(mixed)


def _own(points: NDArray[np.float32], corner: NDArray[np.float32], axes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns points ``(..., 2)`` along and down an eye's own axes from its corner."""
    return np.asarray((points - corner) @ axes.T, np.float32)
