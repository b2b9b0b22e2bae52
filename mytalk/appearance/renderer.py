"""Renders wanted mouths into pictures, one renderer a session; the network is shared."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.bank import MAX_AGE, Mouth, ReferenceBank, detail_of
from mytalk.appearance.crop_frame import FACE, MOUTH, frame_of
from mytalk.appearance.interfaces import Appearance, Job, Painter
from mytalk.appearance.jaw_limit import limit_jaw
from mytalk.appearance.kernel import is_covered
from mytalk.appearance.look import Look, matched
from mytalk.appearance.mesh import Points
from mytalk.appearance.network_inputs import skin_colour, to_crop
from mytalk.appearance.occlusion import MIN_MOUTHS
from mytalk.appearance.paint import crop_of
from mytalk.appearance.placement import apply_affine, placement_of
from mytalk.appearance.preset import EDGE
from mytalk.appearance.reference_mean import MAX_NEIGHBOURS
from mytalk.appearance.scene import Frame
from mytalk.appearance.warped_reference import WarpedReference
from mytalk.face.pose import HeadPose
from mytalk.picture import Box, Matrix, Picture, rgb_of_yuv, yuv_of_rgb


class MouthRenderer:
    """Renders mouths into pictures and owns the reference bank. ``appearance`` None warps the nearest mouth and refines
    nothing. With a ``look`` the mouths of that are all that it renders with, in the light of the first picture."""

    def __init__(self, appearance: Appearance | None, *, still: bool = False, look: Look | None = None) -> None:
        self._painter: Painter = WarpedReference(None) if appearance is None else appearance.new_painter()
        preset = EDGE if appearance is None else appearance.preset
        self._size, self._frame = preset.size, frame_of(preset)
        self._covered_in_a_row = 0  # mouths in a row that were left out as covered; many are a new look
        self._look, self._is_matched = look, False
        self._bank = ReferenceBank(capacity=1) if still and look is None else ReferenceBank()
        for one in look or ():
            self._observe(one.picture, one.pose, one.points)

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
        covers it; nothing with a look, which has its own."""
        if self._look is None:
            self._observe(picture, pose, points)

    def _observe(self, picture: Picture, pose: HeadPose, points: Points) -> None:
        matrix = pose.crop_matrix()
        in_crop, warped = apply_affine(matrix, points), self._frame is MOUTH
        detail = detail_of(_inverse(matrix)) if warped else 0.0
        placement = placement_of(picture, matrix, self._frame)
        slot = None if placement is None else self._bank.slot_for(in_crop, detail)
        if placement is None or slot is None:
            return
        crop = to_crop(picture.region_rgb(placement.box), placement.to_pixels, self._size, self._frame)
        mouth = crop[self._frame.mouth(self._size)]
        if warped and self._covered_in_a_row < MAX_AGE and self._is_covered(mouth, in_crop):
            self._covered_in_a_row += 1
            return
        self._covered_in_a_row = 0
        pixels = _cut(picture, placement.box) if warped else None
        to_pixels = placement.to_pixels if warped else FACE.to_pixels(self._size)
        self._bank.put(slot, Mouth(in_crop, crop, pixels, to_pixels, skin_colour(mouth, in_crop)))

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
        which a model that sees the whole face needs. Raises FloatingPointError where a landmark, or what a model gave,
        is not a number.
        """
        if opacity <= 0:
            return picture
        if not len(self._bank):
            self.observe(picture, pose, source)
        if not len(self._bank):
            return picture
        if not np.isfinite(target).all():
            raise FloatingPointError("a wanted landmark is not a number")
        matrix = pose.crop_matrix()
        seen = apply_affine(matrix, source)
        wanted = limit_jaw(apply_affine(matrix, target), seen)
        frame = frame_of_picture(picture, matrix)
        tracked = None if face is None else apply_affine(matrix, face)
        if self._look is not None and not self._is_matched and self._frame is MOUTH:
            self._is_matched, film = True, crop_of(frame)
            for slot, mouth in enumerate(self._bank.mouths):
                self._bank.put(slot, matched(mouth, film, seen))
        foreign = self._look is not None
        job = Job(picture, frame, seen, wanted, tracked, opacity, detail_of(frame.to_picture), foreign)
        return self._painter.paint(self._bank, job)

    def _is_covered(self, mouth: NDArray[np.uint8], points: Points) -> bool:
        if len(self._bank) < MIN_MOUTHS:
            return False
        return bool(is_covered(mouth.astype(np.float32), points, self._bank.find(points, MAX_NEIGHBOURS).neighbours))


def frame_of_picture(picture: Picture, matrix: NDArray[np.float32]) -> Frame:
    """Returns a picture as compiled code takes it; ``matrix`` takes its pixels to those of the 128 crop."""
    y, u, v = (_plain(plane) for plane in (picture.y, picture.u, picture.v))
    return Frame(y, u, v, matrix, _inverse(matrix), *_conversions(picture.matrix, picture.full_range))


def _plain(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns a plane in the one layout that code is compiled for."""
    return plane if plane.flags.c_contiguous and plane.flags.writeable else np.array(plane, order="C")


@cache
def _conversions(matrix: Matrix, full_range: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Returns the matrices from YUV to RGB and back, ``(3, 4)`` each."""
    return (
        np.ascontiguousarray(rgb_of_yuv(matrix, full_range), np.float32),
        np.ascontiguousarray(yuv_of_rgb(matrix, full_range), np.float32),
    )


def _inverse(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.invertAffineTransform(matrix), np.float32)


def _cut(picture: Picture, box: Box) -> Picture:
    """Copies an even box out of a picture."""
    x0, y0, x1, y1 = box
    half = slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2)
    y, u, v = (np.array(part, order="C") for part in (picture.y[y0:y1, x0:x1], picture.u[half], picture.v[half]))
    return Picture(y, u, v, picture.matrix, picture.full_range)
