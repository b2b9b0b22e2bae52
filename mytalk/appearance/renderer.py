"""Puts wanted mouths into pictures. One renderer a session; the network is shared."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mytalk.appearance.bank import Mouth, ReferenceBank, distances
from mytalk.appearance.cavity import Inside
from mytalk.appearance.compose import Painting, apply, paint, place_of, sample_through, spread
from mytalk.appearance.jaw import held_back
from mytalk.appearance.mask import Mask, mouth_mask, moving_mask
from mytalk.appearance.model import AppearanceModel
from mytalk.appearance.prepare import (
    Bent,
    Window,
    bend,
    network_inputs,
    resized,
    resized_flow,
    sample,
    skin_of,
    to_crop,
    window_of,
)
from mytalk.appearance.preset import EDGE, REFERENCES
from mytalk.appearance.tone import Colours, Rim
from mytalk.appearance.warp import GRID, Flow, Points, Target, displacement
from mytalk.face.pose import HeadPose
from mytalk.picture import Picture

_SAME_SHAPE, _OTHER_SHAPE = 0.2, 1.0  # distances of mouths, crop pixels, between which the network fades in
_INSIDE = 0.5  # how far the network is followed inside the mouth, from as many mouths as it takes
_MENDING_BLUR = 1.2  # Gaussian sigma, crop pixels: pores and lip lines stay those of the nearest mouth
_AT_REST = 0.1  # landmarks that move less than this are where they were, crop pixels


class MouthRenderer:
    """Owns the reference bank. ``model`` None bends the nearest mouth and paints nothing."""

    def __init__(self, model: AppearanceModel | None, *, still: bool = False) -> None:
        self._model = None if model is None else model.eval()
        self._size = EDGE.size if model is None else model.preset.size
        self._bank = ReferenceBank(capacity=1) if still else ReferenceBank()
        self._last: Mouth | None = None

    @property
    def bank_size(self) -> int:
        return len(self._bank)

    def observe(self, picture: Picture, pose: HeadPose, points: Points) -> None:
        """Keeps this mouth, ``(169, 2)`` picture pixels, if it differs from those seen so far."""
        matrix = pose.crop_matrix()
        in_crop = apply(matrix, points)
        slot = self._bank.place_for(in_crop)
        place = place_of(picture, matrix)
        if slot is None or place is None:
            return
        pixels = picture.region_rgb(place.box)
        crop = to_crop(pixels, place.to_pixels, self._size)
        self._bank.put(slot, Mouth(in_crop, crop, pixels, place.to_pixels, skin_of(crop, in_crop)))

    def render(self, picture: Picture, pose: HeadPose, source: Points, target: Points, opacity: float = 1.0) -> Picture:
        """The picture with its mouth moved from ``source`` to ``target``, ``(169, 2)`` picture pixels each.

        Nothing outside the feathered mouth region changes, and with ``opacity`` 0 nothing at all. Skin between
        mouth and jaw line follows the landmarks with the picture's own pixels.
        """
        if opacity <= 0:
            return picture
        if not len(self._bank):
            self.observe(picture, pose, source)
        matrix = pose.crop_matrix()
        place = place_of(picture, matrix)
        if place is None or not len(self._bank):
            return picture
        seen = apply(matrix, source)
        wanted = held_back(apply(matrix, target), seen)
        goal, region = Target(wanted), mouth_mask(wanted)
        flow, reach = _follow(goal, seen)
        pixels = picture.region_rgb(place.box)
        current = to_crop(pixels, place.to_pixels, self._size)
        if reach is not None:
            current = sample(current, resized_flow(flow, self._size)).astype(np.uint8)
        painting = self._painting(goal, current.astype(np.float32), region)
        # Only the box that changes is worked on from here.
        inner = place_of(picture, matrix, region if reach is None else np.maximum(region, reach))
        if inner is None:
            return picture
        mouth, alpha = paint(painting, inner), spread(region, inner)
        if reach is not None:
            skin = sample_through(pixels, flow, place.to_pixels, inner)
            mouth = skin + alpha[..., None] * (mouth - skin)
            alpha = np.maximum(alpha, spread(reach, inner))
        return picture.with_region(inner.box, mouth, alpha * np.float32(opacity))

    def _painting(self, goal: Target, current: Colours, region: Mask) -> Painting:
        """Chooses the references, bends them, and has the network mend the nearest with the others' help."""
        count = 1 if self._model is None else REFERENCES
        mouths = self._bank.nearest(goal.points, count, self._last)
        self._last = mouths[0]
        region = resized(region, self._size)
        rim, inside = Rim(current, region), Inside(goal.points, self._size)
        bent: list[Bent] = []
        for mouth in mouths:
            again = next((i for i, other in enumerate(mouths[: len(bent)]) if other is mouth), None)
            bent.append(bend(mouth, goal.warp_from(mouth.points), rim, inside) if again is None else bent[again])
        colours = bent[0].correction.copy()
        if bent[0].drawn is not None:
            colours += bent[0].drawn
        if self._model is not None:
            trust = _trust_in(mouths[0], goal.points)
            if trust < 1:
                window, mending = self._mend(self._model, bent, current, region, goal.points)
                if self._model.preset.residual:
                    share = self._mended_share(bent, goal, len({id(mouth) for mouth in mouths}))
                    mending *= share[window][..., None]
                colours[window] += (1 - trust) * mending
        return Painting(mouths[0], bent[0].warp.flow, bent[0].kept, colours)

    def _mended_share(self, bent: list[Bent], goal: Target, different: int) -> NDArray[np.float32]:
        """How far the network is followed: less inside the mouth, where it averages what it cannot know, and not at
        all where the inside was drawn or comes from one mouth alone.
        """
        share = np.ones_like(bent[0].colours[..., 0]) if bent[0].kept is None else bent[0].kept
        inside = np.float32(_INSIDE * (different - 1) / (REFERENCES - 1))
        return share * (1 - (1 - inside) * resized(goal.inside(), self._size))

    def _mend(
        self, model: AppearanceModel, bent: list[Bent], current: Colours, region: Mask, points: Points
    ) -> tuple[Window, Colours]:
        """What to add to the nearest mouth, ``(W, W, 3)`` in 0..255, and where."""
        window = window_of(region, model.preset.window, model.preset.stem)
        device = next(model.parameters()).device
        seen = network_inputs(bent, current, region, points, window)
        references, non_lip, landmarks = (
            torch.from_numpy(array).to(device).movedim(-1, -3).unsqueeze(0)
            for array in (seen.references, seen.non_lip, seen.landmarks)
        )
        with torch.inference_mode():
            mouth = model(references, non_lip, landmarks).mouth(references)
            mending = (mouth - references[:, 0])[0].movedim(0, -1).float().cpu().numpy() * seen.exposure.unit
        if model.preset.residual:
            mending = cv2.GaussianBlur(mending, (0, 0), _MENDING_BLUR)
        return window, mending


def _trust_in(mouth: Mouth, wanted: Points) -> float:
    """1 for a mouth seen in just this shape, which wants no mending; 0 for any other."""
    apart = float(distances(mouth.points[None], wanted)[0])
    return min(1.0, max(0.0, (_OTHER_SHAPE - apart) / (_OTHER_SHAPE - _SAME_SHAPE)))


def _follow(goal: Target, seen: Points) -> tuple[Flow, Mask | None]:
    """How the current frame's skin follows the landmarks, and where it moves; None: nowhere."""
    if displacement(goal.points, seen) < _AT_REST:
        return GRID, None
    reach = moving_mask(seen, goal.points)
    return GRID + reach[..., None] * (goal.warp_from(seen).flow - GRID), reach
