"""Makes the pixels of a wanted mouth: by warping and refining a mouth of the bank, or by a network alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.appearance.bank import Mouth, ReferenceBank
from mytalk.appearance.colour_match import ColourMatcher, Colours, repeat_rgb
from mytalk.appearance.compose import Painting
from mytalk.appearance.crop_frame import FACE, Window
from mytalk.appearance.graph_backend import GraphAppearance
from mytalk.appearance.mask import Mask
from mytalk.appearance.model import AppearanceModel
from mytalk.appearance.mouth_interior import MouthInterior
from mytalk.appearance.network_inputs import (
    WarpedMouth,
    face_inputs,
    lip_picture,
    mouth_inputs,
    resized,
    warp_mouth,
    window_of,
)
from mytalk.appearance.occlusion import MIN_MOUTHS, Occlusion
from mytalk.appearance.preset import REFERENCES, AppearancePreset
from mytalk.appearance.reference_mean import MAX_NEIGHBOURS, reference_pictures
from mytalk.appearance.warp import GRID, Points, Target
from mytalk.face.landmarks import LOWER_FACE, aperture
from mytalk.runtime.cuda_graphs import to_device, to_host

_SAME_SHAPE = 0.2  # distance of mouths, crop pixels, up to which nothing is refined
_OTHER_SHAPE = 1.0  # and from which on all is
_REFINEMENT_BLUR = 1.2  # Gaussian sigma, crop pixels: pores and lip lines stay those of the nearest mouth
_INTERIOR_BLUR = 2.5  # the same between the lips, where edges of teeth stay too
_MAX_INTERIOR_GAIN = 0.5  # greatest change of lightness between the lips, as a share of it
_GREY = np.full((1, 3), 1 / 3, np.float32)
_GAIN_OFFSET = 20.0  # added to lightness 0..255 before dividing by it, for dark pixels
_LOWER = list(LOWER_FACE)


@dataclass(frozen=True, slots=True)
class TargetFrame:
    """Describes the frame that a mouth is painted into."""

    current: Colours  # the picture as the network sees it, its skin moved to the wanted landmarks
    region: Mask  # (128, 128): what may be painted anew
    painted: Mask  # (128, 128): what of it is
    face: Points | None  # (478, 2) landmarks that were tracked, crop pixels
    detail: float = 0.0  # of the picture: `bank.detail_of`


class Painter(Protocol):
    """Paints one mouth after the other of one session.

    ``reuse_residual`` lets a painter reuse a network's output for a second frame, at some cost to the picture; without
    ``refinement`` no network and no mean of mouths is used where a warp can stand alone. Both may be set at any time.
    """

    reuse_residual: bool
    refinement: bool

    def paint(self, bank: ReferenceBank, target: Target, frame: TargetFrame) -> Painting:
        """Paints the mouth ``target`` from a bank that is not empty, into ``frame``."""
        ...


class WarpedReference:
    """Warps the nearest mouth of the bank to the target, blends it with the mean of mouths of about this shape, and
    refines the result by a network while the bank holds few mouths. ``model`` None: the nearest mouth alone.

    ``reuse_residual``: every second frame adds the network's residual of the frame before, where the nearest mouth is
    the same. Without ``refinement`` the nearest mouth is all that is used.
    """

    def __init__(self, model: AppearanceModel | GraphAppearance | None) -> None:
        self.reuse_residual, self.refinement = False, True
        self._model = model
        self._last: Mouth | None = None
        self._occlusion = Occlusion()
        self._residual: Colours | None = None  # what the network added to the last frame, which asked it

    def paint(self, bank: ReferenceBank, target: Target, frame: TargetFrame) -> Painting:
        """Paints the mouth ``target`` from the nearest mouth of the bank."""
        match = bank.find(target.points, MAX_NEIGHBOURS, self._last, frame.detail)
        mouth, neighbours = match.mouth, match.neighbours
        residual = self._residual if self.reuse_residual and mouth is self._last else None
        self._last, self._residual = mouth, None
        size = len(frame.current)
        matcher = ColourMatcher(frame.current, resized(frame.painted, size))
        interior = MouthInterior(target.points, size)
        warped = warp_mouth(mouth, target.warp_from(mouth.points), matcher, interior)
        colours = warped.correction.copy()
        if warped.drawn is not None:
            colours += warped.drawn
        trust = _shape_trust(match.distance)
        if self._model is None or not self.refinement or trust == 1:
            return Painting(
                mouth, warped.warp.flow, warped.kept, colours, self._covered(bank, warped.corrected, target, matcher)
            )
        preset, region = self._model.preset, resized(frame.region, size)
        network_weight = _network_weight(preset, len(bank))
        run_network = network_weight > 0 and residual is None
        lips = reference_pictures(warped, neighbours, target, matcher, preset.references if run_network else 2)
        base = lips[-1]
        window = window_of(region, preset.window, preset.stem)
        refinement = (lips[0] - base)[window] * repeat_rgb(region[window])
        if run_network:
            residual = self._residual = _refine(self._model, lips, frame.current, region, target, window)
        if network_weight > 0 and residual is not None:
            refinement += np.float32(network_weight) * residual
        lips_interior = resized(target.interior(), size)[window]
        refinement = _without_detail(refinement, base[window], repeat_rgb(lips_interior))
        refinement *= repeat_rgb(_refinement_weight(warped, lips_interior, window, len(neighbours)))
        colours[window] += (1 - trust) * refinement
        return Painting(mouth, warped.warp.flow, warped.kept, colours, self._covered(bank, lips[0], target, matcher))

    def _covered(self, bank: ReferenceBank, expected: Colours, target: Target, matcher: ColourMatcher) -> Mask | None:
        """Returns which part of the mouth is covered by an object, if the bank holds enough mouths to tell."""
        return self._occlusion(expected, target, matcher) if len(bank) >= MIN_MOUTHS else None


class PaintedFace:
    """Paints the whole face by the network and takes the mouth from it. MyTalk, section 3.5.

    Its references are constant, so their features are computed once, and again each time the bank has doubled, which is
    at most six times a session.
    """

    def __init__(self, model: AppearanceModel) -> None:
        self.reuse_residual, self.refinement = False, True  # there is nothing that it could leave out
        self._model = model
        self._chosen_from = 0  # mouths in the bank when they were chosen
        self._features: Tensor | None = None

    def paint(self, bank: ReferenceBank, target: Target, frame: TargetFrame) -> Painting:
        """Paints the mouth ``target``. Raises ValueError where ``frame`` has no tracked landmarks of the whole face."""
        current, face = frame.current, frame.face
        if face is None:
            raise ValueError("a model that sees the whole face needs all 478 tracked landmarks: give render its face=")
        model = self._model
        size, crop = model.preset.size, FACE.mouth(model.preset.size)
        lips, region = self._lip_features(bank), resized(frame.region, size)
        drawn = face.copy()
        drawn[_LOWER] = target.points
        base = face_inputs(np.zeros(0, np.float32), current, region, drawn)
        non_lip, landmarks = (_batch(array, model).movedim(-1, -3) for array in (base.non_lip, base.landmarks))
        with torch.inference_mode():
            picture = model.paint(lips, non_lip, landmarks)[0, :, *crop]
        mouth = base.exposure.denormalise(to_host(picture).movedim(0, -1).float().numpy())
        # How far its colours are off where the frame is known, around the mouth, they are off in the mouth.
        mouth += ColourMatcher(current[crop], region).correction(mouth)
        return Painting(None, GRID, None, mouth)

    def _lip_features(self, bank: ReferenceBank) -> Tensor:
        if self._features is None or len(bank) >= 2 * self._chosen_from:
            self._chosen_from = len(bank)
            preset = self._model.preset
            chosen = spread_mouths(bank.mouths, preset.references)
            pictures = np.stack([lip_picture(mouth.crop, mouth.points, preset.masked) for mouth in chosen])
            with torch.inference_mode():
                self._features = self._model.lip_features(_batch(pictures, self._model).movedim(-1, -3))
        return self._features


def spread_mouths(mouths: list[Mouth], count: int) -> list[Mouth]:
    """Picks ``count`` mouths from the widest open to the narrowest, evenly by rank; some repeat where there are
    fewer."""
    ranked = sorted(mouths, key=lambda mouth: -float(aperture(mouth.points)))
    places = np.linspace(0, len(ranked) - 1, count).round().astype(int)
    return [ranked[place] for place in places]


def _refine(
    model: AppearanceModel | GraphAppearance,
    lips: NDArray[np.float32],
    current: Colours,
    region: Mask,
    target: Target,
    window: Window,
) -> Colours:
    """Returns the network's residual to the first reference picture, ``(W, W, 3)`` in 0..255."""
    base = mouth_inputs(lips, current, region, target.points, window)
    if isinstance(model, GraphAppearance):
        return model.refine(base.references, base.non_lip, base.landmarks) * np.float32(base.exposure.unit)
    pictures = (_batch(array, model) for array in (base.references, base.non_lip, base.landmarks))
    with torch.inference_mode():
        added = to_host(model.refine(*pictures)[0]).float().numpy()
    return np.asarray(added * base.exposure.unit, np.float32)


def _without_detail(refinement: Colours, base: Colours, interior: NDArray[np.float32]) -> Colours:
    """Removes from ``refinement`` the detail that the mouth ``base`` has; ``interior`` ``(W, W, 3)``: between the lips.

    There a mean, or the network, blurs what differs: teeth, cavity and lips. It is used for lightness alone, as a gain:
    what is dark stays dark, and teeth stay as white as they are.
    """
    skin = cv2.GaussianBlur(refinement, (0, 0), _REFINEMENT_BLUR)
    change, light = (cv2.GaussianBlur(cv2.transform(one, _GREY), (0, 0), _INTERIOR_BLUR) for one in (refinement, base))
    gain = np.clip(change / (np.maximum(light, 0) + _GAIN_OFFSET), -_MAX_INTERIOR_GAIN, _MAX_INTERIOR_GAIN)
    return np.asarray(skin + interior * (repeat_rgb(gain) * base - skin), np.float32)


def _refinement_weight(
    nearest: WarpedMouth, interior: NDArray[np.float32], window: Window, mouths: int
) -> NDArray[np.float32]:
    """Returns how far the refinement is followed, ``(W, W)``: not at all where the interior was drawn or comes from
    one mouth."""
    known = np.float32(min(1.0, (mouths - 1) / (REFERENCES - 1)))
    share = 1 - (1 - known) * interior
    return share if nearest.kept is None else share * nearest.kept[window]


def _network_weight(preset: AppearancePreset, mouths: int) -> float:
    """Returns the weight of the network's residual for a bank of so many mouths: 1 up to a third of ``enough``, then
    falling to 0.

    A network taught by many people helps much beside one mouth, and little beside a dozen of the same person.
    """
    if not preset.enough:
        return 1.0
    return min(1.0, max(0.0, 1.5 * (1 - mouths / preset.enough)))


def _batch(pictures: NDArray[np.float32], model: AppearanceModel) -> Tensor:
    """Converts pictures ``(..., H, W, 3)`` to a batch of one, on the device and in the type of the model's weights."""
    weight = next(model.parameters())
    return to_device(torch.from_numpy(pictures), weight.device, weight.dtype).unsqueeze(0)


def _shape_trust(distance: float) -> float:
    """Returns 1 for a mouth seen in this very shape, which needs no refinement, and 0 for a clearly different one."""
    return min(1.0, max(0.0, (_OTHER_SHAPE - distance) / (_OTHER_SHAPE - _SAME_SHAPE)))
