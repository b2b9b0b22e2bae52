"""Puts wanted mouths into pictures. One renderer a session; the network is shared."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.bank import FRESH, Mouth, ReferenceBank, detail_of
from mytalk.appearance.blend import Blend, Layers, Skin, blend, blend_on
from mytalk.appearance.colour_match import Colours
from mytalk.appearance.compose import apply, place_of
from mytalk.appearance.crop_frame import FACE, MOUTH, frame_of
from mytalk.appearance.jaw_limit import held_back
from mytalk.appearance.mask import Mask, mouth_mask, moving_mask, painted_mask
from mytalk.appearance.model import AppearanceModel
from mytalk.appearance.network_inputs import Matrix, resized_flow, sample, skin_of, to_crop
from mytalk.appearance.occlusion import is_covered
from mytalk.appearance.painters import PaintedFace, Painter, Scene, WarpedReference
from mytalk.appearance.preset import EDGE
from mytalk.appearance.warp import GRID, Flow, Points, Target, displacement
from mytalk.face.pose import HeadPose
from mytalk.picture import Picture

_AT_REST = 0.1  # landmarks that move less than this are where they were, crop pixels


class MouthRenderer:
    """Owns the reference bank. ``model`` None bends the nearest mouth and paints nothing."""

    def __init__(self, model: AppearanceModel | None, *, still: bool = False) -> None:
        self._painter: Painter = WarpedReference(None)
        self._size, self._frame = EDGE.size, MOUTH
        self._blend: Blend = blend
        if model is not None:
            self._blend = blend_on(next(model.parameters()).device)
            self._size, self._frame = model.preset.size, frame_of(model.preset)
            model.eval()
            self._painter = WarpedReference(model) if self._frame is MOUTH else PaintedFace(model)
        self._hidden = 0  # mouths in a row that were left out as covered; many are a new look
        self._bank = ReferenceBank(capacity=1) if still else ReferenceBank()

    @property
    def bank_size(self) -> int:
        return len(self._bank)

    @property
    def reuse_residual(self) -> bool:
        """Whether work is saved at some cost to the picture; may be set at any time."""
        return self._painter.reuse_residual

    @reuse_residual.setter
    def reuse_residual(self, reuse_residual: bool) -> None:
        self._painter.reuse_residual = reuse_residual

    @property
    def refinement(self) -> bool:
        """Whether mouths that are bent are mended, by the mean of others and the network; may be set at any time."""
        return self._painter.refinement

    @refinement.setter
    def refinement(self, refinement: bool) -> None:
        self._painter.refinement = refinement

    def observe(self, picture: Picture, pose: HeadPose, points: Points) -> None:
        """Keeps this mouth, ``(169, 2)`` picture pixels, if it differs from those seen so far and nothing hides it."""
        matrix = pose.crop_matrix()
        in_crop = apply(matrix, points)
        place = place_of(picture, matrix, frame=self._frame)
        if place is None:
            return
        slot = self._bank.place_for(in_crop, detail_of(place.to_pixels) if self._frame is MOUTH else 0.0)
        if slot is None:
            return
        pixels, to_pixels = picture.region_rgb(place.box), place.to_pixels
        crop = to_crop(pixels, to_pixels, self._size, self._frame)
        if self._frame is FACE:  # the network sees no more of it, and nothing else is painted with it
            pixels, to_pixels = crop, FACE.to_pixels(self._size)
        mouth = crop[self._frame.mouth(self._size)]
        if self._frame is MOUTH and self._hidden < FRESH and is_covered(mouth, in_crop, self._bank):
            self._hidden += 1
            return
        self._hidden = 0
        skin = skin_of(mouth, in_crop)
        self._bank.put(slot, Mouth(in_crop, crop, pixels, to_pixels, skin))

    def render(
        self,
        picture: Picture,
        pose: HeadPose,
        source: Points,
        target: Points,
        opacity: float = 1.0,
        *,
        face: Points | None = None,
    ) -> Picture:
        """The picture with its mouth moved from ``source`` to ``target``, ``(169, 2)`` picture pixels each.

        Nothing outside the feathered mouth region changes, and with ``opacity`` 0 nothing at all. Lips and what is
        between them are always painted anew, skin beside them only where it has to move; skin up to the jaw line
        follows the landmarks with the picture's own pixels. ``face`` are all ``(478, 2)`` landmarks of the picture,
        which a model that sees the whole face needs.
        """
        if opacity <= 0:
            return picture
        if not len(self._bank):
            self.observe(picture, pose, source)
        matrix = pose.crop_matrix()
        place = place_of(picture, matrix, frame=self._frame)
        if place is None or not len(self._bank):
            return picture
        seen = apply(matrix, source)
        wanted = held_back(apply(matrix, target), seen)
        goal, region = Target(wanted), mouth_mask(wanted)
        flow, reach = _follow(goal, seen)
        pixels = picture.region_rgb(place.box)
        current = self._current(pixels, place.to_pixels, None if reach is None else flow)
        tracked = None if face is None else apply(matrix, face)
        painted = painted_mask(region, wanted, None if reach is None else flow)
        painting = self._painter.paint(
            self._bank, goal, Scene(current, region, painted, tracked, detail_of(place.to_pixels))
        )
        if painting.covered is not None:
            free = 1 - painting.covered
            painted *= free
            flow = GRID + (flow - GRID) * cv2.merge([free, free])
        # Only the box that changes is worked on from here.
        inner = place_of(picture, matrix, painted if reach is None else np.maximum(painted, reach))
        if inner is None:
            return picture
        skin = None if reach is None else Skin(pixels, place.to_pixels, flow, reach)
        return self._blend(picture, Layers(skin, painting, painted, inner, opacity))

    def _current(self, pixels: NDArray[np.uint8], to_pixels: Matrix, flow: Flow | None) -> Colours:
        """The current frame as the network sees it, its mouth crop's skin moved by ``flow``."""
        current = to_crop(pixels, to_pixels, self._size, self._frame)
        if flow is not None:
            mouth = self._frame.mouth(self._size)
            current[mouth] = sample(current[mouth], resized_flow(flow, self._size)).astype(np.uint8)
        return current.astype(np.float32)


def _follow(goal: Target, seen: Points) -> tuple[Flow, Mask | None]:
    """How the current frame's skin follows the landmarks, and where it moves; None: nowhere."""
    if displacement(goal.points, seen) < _AT_REST:
        return GRID, None
    reach = moving_mask(seen, goal.points)
    moved = goal.flow_from(seen)
    moved -= GRID
    moved *= cv2.merge([reach, reach])
    moved += GRID
    return moved, reach
