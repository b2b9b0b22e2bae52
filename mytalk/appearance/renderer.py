"""Puts wanted mouths into pictures. One renderer a session; the network is shared."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mytalk.appearance.bank import Mouth, ReferenceBank
from mytalk.appearance.cavity import Inside
from mytalk.appearance.compose import Painting, apply, paint, place_of, sample_through, spread
from mytalk.appearance.mask import Mask, mouth_mask, moving_mask
from mytalk.appearance.model import AppearanceModel
from mytalk.appearance.prepare import (
    Bent,
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
        seen, wanted = apply(matrix, source), apply(matrix, target)
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
        """Chooses the references, bends them, and asks the network how to make one mouth of them."""
        count = 1 if self._model is None else REFERENCES
        mouths = self._bank.nearest(goal.points, count, self._last)
        self._last = mouths[0]
        region = resized(region, self._size)
        rim, inside = Rim(current, region), Inside(goal.points, self._size)
        bent: list[Bent] = []
        for mouth in mouths:
            again = next((i for i, other in enumerate(mouths[: len(bent)]) if other is mouth), None)
            bent.append(bend(mouth, goal.warp_from(mouth.points), rim, inside) if again is None else bent[again])
        blend, change = self._ask(bent, current, region, goal.points)
        shares = [1 - blend.sum(axis=0), *blend]
        return _mixed(mouths, bent, shares, change)

    def _ask(
        self, bent: list[Bent], current: Colours, region: Mask, points: Points
    ) -> tuple[NDArray[np.float32], Colours]:
        """Blend ``(2, S, S)`` of the further references, and change ``(S, S, 3)`` in 0..255."""
        if self._model is None:
            return np.zeros((0, self._size, self._size), np.float32), np.zeros_like(current)
        preset = self._model.preset
        window = window_of(region, preset.window, preset.stem)
        device = next(self._model.parameters()).device
        seen = network_inputs(bent, current, region, points, window)
        inputs = (
            torch.from_numpy(array).to(device).movedim(-1, -3).unsqueeze(0)
            for array in (seen.references, seen.non_lip, seen.landmarks)
        )
        with torch.inference_mode():
            painted = self._model(*inputs)
        blend = np.zeros((REFERENCES - 1, self._size, self._size), np.float32)
        change = np.zeros_like(current)
        blend[:, *window] = painted.blend[0].float().cpu().numpy()
        change[window] = painted.change[0].movedim(0, -1).float().cpu().numpy() * seen.exposure.unit
        return blend, change


def _follow(goal: Target, seen: Points) -> tuple[Flow, Mask | None]:
    """How the current frame's skin follows the landmarks, and where it moves; None: nowhere."""
    if displacement(goal.points, seen) < _AT_REST:
        return GRID, None
    reach = moving_mask(seen, goal.points)
    return GRID + reach[..., None] * (goal.warp_from(seen).flow - GRID), reach


def _mixed(mouths: list[Mouth], bent: list[Bent], shares: list[NDArray[np.float32]], change: Colours) -> Painting:
    """Shares of the mouths' own pixels, and all the rest as colours of the crop."""
    colours = change.copy()
    pure: dict[int, tuple[Mouth, Flow, NDArray[np.float32]]] = {}
    for mouth, one, share in zip(mouths, bent, shares, strict=True):
        colours += share[..., None] * one.correction
        if one.drawn is not None:
            colours += share[..., None] * one.drawn
        if one.kept is not None:
            share = share * one.kept
        before = pure.get(id(mouth))
        pure[id(mouth)] = (mouth, one.warp.flow, share if before is None else before[2] + share)
    kept = list(pure.values())
    return Painting([m for m, _, _ in kept], [f for _, f, _ in kept], [s for _, _, s in kept], colours)
