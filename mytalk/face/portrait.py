"""Warps pictures of one portrait to how its head, eyes and brows stand at a moment, mouth and all.

The mouth is rendered on the portrait as it is. What moves is a box around the head; the picture's borders stand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.face.brows import NEUTRAL, Brows, UpperFace
from mytalk.face.eyes import Eyes, EyeState
from mytalk.face.face import Face
from mytalk.face.head_turn import STRAIGHT, Field, Grid, HeadSurface, Turn
from mytalk.picture import Box, Picture


@dataclass(frozen=True, slots=True)
class PortraitState:
    """Says how a portrait stands: all as in its picture by default. Units as of `Turn`, `EyeState`, `UpperFace`."""

    head: Turn = STRAIGHT
    closed: float = 0.0
    gaze_yaw: float = 0.0
    gaze_pitch: float = 0.0
    face: UpperFace = NEUTRAL

    @property
    def eyes(self) -> EyeState:
        """Returns how the eyes stand, their lids as the face has them."""
        return EyeState(self.closed, self.gaze_yaw, self.gaze_pitch, self.face.upper, self.face.lower)

    @property
    def moves_picture(self) -> bool:
        """Says whether more than the eyes moves."""
        return self.head != STRAIGHT or (self.face.inner, self.face.outer, self.face.lowered) != (0, 0, 0)


class PortraitWarp:
    """Warps pictures that were made from one portrait, whose face is ``face``. Not thread-safe."""

    def __init__(self, portrait: Picture, face: Face) -> None:
        self.portrait = portrait
        self._grid = Grid(portrait, face)
        self._head = HeadSurface(self._grid, face)
        self._brows = Brows(self._grid, face)
        self._eyes = Eyes(portrait, face)
        self._places = {step: _places(self._grid.box, step) for step in (1, 2)}  # of luma, and of chroma

    def __call__(self, picture: Picture, state: PortraitState) -> Picture:
        """Returns the picture with head, eyes and brows as ``state`` has them; pixels that do not move stay equal to
        the bit."""
        picture = self._eyes(picture, state.eyes)
        if not state.moves_picture:
            return picture
        displacement = self._head.displacement(state.head) + self._brows.displacement(state.face)
        return self._sampled(picture, self._grid.inverse(displacement))

    def _sampled(self, picture: Picture, back: Field) -> Picture:
        """Samples the box from where each cell's picture comes, ``(h, w, 2)`` pixels from its own place; a matte
        too."""
        x0, y0, x1, y1 = self._grid.box
        at: dict[int, Field] = {}
        for step, places in self._places.items():
            size = ((x1 - x0) // step, (y1 - y0) // step)
            at[step] = places + cv2.resize(back, size, interpolation=cv2.INTER_LINEAR) / np.float32(step)
        matte = picture.matte
        alpha = () if matte is None else ((matte.alpha, 1),)
        planes: list[NDArray[np.uint8]] = []
        for plane, step in ((picture.y, 1), (picture.u, 2), (picture.v, 2), *alpha):
            out = plane.copy()
            out[y0 // step : y1 // step, x0 // step : x1 // step] = cv2.remap(
                plane, at[step], None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
            planes.append(out)
        moved = matte if matte is None else replace(matte, alpha=planes[3])
        return replace(picture, y=planes[0], u=planes[1], v=planes[2], matte=moved)


def _places(box: Box, step: int) -> Field:
    """Returns the place of each sample of a box, ``(h, w, 2)``, of a plane with a sample every ``step`` pixels."""
    x0, y0, x1, y1 = (edge // step for edge in box)
    return np.asarray(np.stack(np.meshgrid(np.arange(x0, x1), np.arange(y0, y1)), axis=-1), np.float32)
