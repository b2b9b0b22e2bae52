"""Renders wanted mouths into pictures, one renderer a session; the network is shared."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.bank import MAX_AGE, Mouth, ReferenceBank, detail_of
from mytalk.appearance.blend import Blend, Layers, Skin, blend, blend_on
from mytalk.appearance.colour_match import Colours
from mytalk.appearance.compose import apply_affine, placement_of
from mytalk.appearance.crop_frame import FACE, MOUTH, frame_of
from mytalk.appearance.graph_backend import GraphAppearance
from mytalk.appearance.jaw_limit import limit_jaw
from mytalk.appearance.mask import Mask, mouth_mask, moving_mask, painted_mask
from mytalk.appearance.model import AppearanceModel
from mytalk.appearance.network_inputs import Matrix, resized_flow, sample, skin_colour, to_crop
from mytalk.appearance.occlusion import is_covered
from mytalk.appearance.painters import PaintedFace, Painter, TargetFrame, WarpedReference
from mytalk.appearance.preset import EDGE
from mytalk.appearance.warp import GRID, Flow, Points, Target, displacement
from mytalk.face.pose import HeadPose
from mytalk.picture import Picture

Appearance = AppearanceModel | GraphAppearance
"""The second stage: by torch on any device, or by a graph on the CPU."""

_MIN_MOVE = 0.1  # crop pixels: landmarks that all move less leave the skin as it is


class MouthRenderer:
    """Renders mouths into pictures and owns the reference bank. ``model`` None warps the nearest mouth and refines
    nothing."""

    def __init__(self, model: Appearance | None, *, still: bool = False) -> None:
        self._painter: Painter = WarpedReference(None)
        self._size, self._frame = EDGE.size, MOUTH
        self._blend: Blend = blend
        if model is not None:
            self._size, self._frame = model.preset.size, frame_of(model.preset)
        if isinstance(model, GraphAppearance):
            self._painter = WarpedReference(model)
        elif model is not None:
            self._blend = blend_on(next(model.parameters()).device)
            model.eval()
            self._painter = WarpedReference(model) if self._frame is MOUTH else PaintedFace(model)
        self._covered_in_a_row = 0  # mouths in a row that were left out as covered; many are a new look
        self._bank = ReferenceBank(capacity=1) if still else ReferenceBank()

    @property
    def bank_size(self) -> int:
        """Returns how many mouths the bank holds."""
        return len(self._bank)

    @property
    def reuse_residual(self) -> bool:
        """Says whether the network runs for every second frame only; may be set at any time."""
        return self._painter.reuse_residual

    @reuse_residual.setter
    def reuse_residual(self, reuse_residual: bool) -> None:
        self._painter.reuse_residual = reuse_residual

    @property
    def refinement(self) -> bool:
        """Says whether warped mouths are refined by the mean of others and the network; may be set at any time."""
        return self._painter.refinement

    @refinement.setter
    def refinement(self, refinement: bool) -> None:
        self._painter.refinement = refinement

    def observe(self, picture: Picture, pose: HeadPose, points: Points) -> None:
        """Adds this mouth, ``(169, 2)`` picture pixels, to the bank if it differs from those seen so far and nothing
        covers it."""
        matrix = pose.crop_matrix()
        in_crop = apply_affine(matrix, points)
        placement = placement_of(picture, matrix, frame=self._frame)
        if placement is None:
            return
        slot = self._bank.slot_for(in_crop, detail_of(placement.to_pixels) if self._frame is MOUTH else 0.0)
        if slot is None:
            return
        pixels, to_pixels = picture.region_rgb(placement.box), placement.to_pixels
        crop = to_crop(pixels, to_pixels, self._size, self._frame)
        if self._frame is FACE:  # the network sees no more of it, and nothing else is painted with it
            pixels, to_pixels = crop, FACE.to_pixels(self._size)
        mouth = crop[self._frame.mouth(self._size)]
        if self._frame is MOUTH and self._covered_in_a_row < MAX_AGE and is_covered(mouth, in_crop, self._bank):
            self._covered_in_a_row += 1
            return
        self._covered_in_a_row = 0
        skin = skin_colour(mouth, in_crop)
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
        """Moves the picture's mouth from ``source`` to ``target``, ``(169, 2)`` picture pixels each, and returns the
        new picture.

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
        placement = placement_of(picture, matrix, frame=self._frame)
        if placement is None or not len(self._bank):
            return picture
        source_points = apply_affine(matrix, source)
        wanted_points = limit_jaw(apply_affine(matrix, target), source_points)
        warp_target, region = Target(wanted_points), mouth_mask(wanted_points)
        flow, skin_mask = _follow(warp_target, source_points)
        pixels = picture.region_rgb(placement.box)
        current = self._current(pixels, placement.to_pixels, None if skin_mask is None else flow)
        tracked = None if face is None else apply_affine(matrix, face)
        painted = painted_mask(region, wanted_points, None if skin_mask is None else flow)
        painting = self._painter.paint(
            self._bank, warp_target, TargetFrame(current, region, painted, tracked, detail_of(placement.to_pixels))
        )
        if painting.covered is not None:
            free = 1 - painting.covered
            painted *= free
            flow = GRID + (flow - GRID) * cv2.merge([free, free])
        # Only the box that changes is worked on from here.
        inner = placement_of(picture, matrix, painted if skin_mask is None else np.maximum(painted, skin_mask))
        if inner is None:
            return picture
        skin = None if skin_mask is None else Skin(pixels, placement.to_pixels, flow, skin_mask)
        return self._blend(picture, Layers(skin, painting, painted, inner, opacity))

    def _current(self, pixels: NDArray[np.uint8], to_pixels: Matrix, flow: Flow | None) -> Colours:
        """Crops the current frame as the network sees it, its mouth crop's skin moved by ``flow``."""
        current = to_crop(pixels, to_pixels, self._size, self._frame)
        if flow is not None:
            mouth = self._frame.mouth(self._size)
            current[mouth] = sample(current[mouth], resized_flow(flow, self._size)).astype(np.uint8)
        return current.astype(np.float32)


def _follow(warp_target: Target, source_points: Points) -> tuple[Flow, Mask | None]:
    """Returns how the current frame's skin follows the landmarks, and where it moves; None: nowhere."""
    if displacement(warp_target.points, source_points) < _MIN_MOVE:
        return GRID, None
    skin_mask = moving_mask(source_points, warp_target.points)
    moved = warp_target.flow_from(source_points)
    moved -= GRID
    moved *= cv2.merge([skin_mask, skin_mask])
    moved += GRID
    return moved, skin_mask
