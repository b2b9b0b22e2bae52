"""Where the pixels of a wanted mouth come from: a mouth of the bank, bent and mended, or the network alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.appearance.bank import Mouth, ReferenceBank
from mytalk.appearance.colour_match import Colours, Rim, alike
from mytalk.appearance.compose import Painting
from mytalk.appearance.crop_frame import FACE, Window
from mytalk.appearance.mask import Mask
from mytalk.appearance.model import AppearanceModel
from mytalk.appearance.mouth_interior import Inside
from mytalk.appearance.network_inputs import (
    WarpedMouth,
    bend,
    face_inputs,
    lip_picture,
    mouth_inputs,
    resized,
    window_of,
)
from mytalk.appearance.occlusion import KNOWN, Occlusion
from mytalk.appearance.preset import REFERENCES, AppearancePreset
from mytalk.appearance.reference_mean import MOST, likely
from mytalk.appearance.warp import GRID, Points, Target
from mytalk.face.landmarks import LOWER_FACE, aperture
from mytalk.runtime.cuda_graphs import to_device, to_host

_SAME_SHAPE, _OTHER_SHAPE = 0.2, 1.0  # distances of mouths, crop pixels, between which the network fades in
_REFINEMENT_BLUR = 1.2  # Gaussian sigma, crop pixels: pores and lip lines stay those of the nearest mouth
_INSIDE_BLUR = 2.5  # and inside a mouth the edges of teeth too
_INSIDE_GAIN = 0.5  # how much lighter or darker it is made at most, as a share of what it is
_GREY = np.full((1, 3), 1 / 3, np.float32)
_BLACK = 20.0  # keeps shares of dark pixels calm, 0..255
_LOWER = list(LOWER_FACE)


@dataclass(frozen=True, slots=True)
class Scene:
    """The frame that a mouth is painted into."""

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

    def paint(self, bank: ReferenceBank, goal: Target, scene: Scene) -> Painting:
        """The mouth ``goal`` from a bank that is not empty, for the frame of ``scene``."""
        ...


class WarpedReference:
    """Warps the nearest mouth of the bank to the target, blends it with the mean of mouths of about this shape, and
    refines the result by a network while the bank holds few mouths. ``model`` None: the nearest mouth alone.

    ``reuse_residual``: every second frame adds the network's residual of the frame before, where the nearest mouth is
    the same. Without ``refinement`` the nearest mouth is all that is used.
    """

    def __init__(self, model: AppearanceModel | None) -> None:
        self.reuse_residual, self.refinement = False, True
        self._model = model
        self._last: Mouth | None = None
        self._cover = Occlusion()
        self._spare: Colours | None = None  # what the network added to the last frame, which asked it

    def paint(self, bank: ReferenceBank, goal: Target, scene: Scene) -> Painting:
        found = bank.find(goal.points, MOST, self._last, scene.detail)
        mouth, around = found.mouth, found.around
        spare = self._spare if self.reuse_residual and mouth is self._last else None
        self._last, self._spare = mouth, None
        size = len(scene.current)
        rim, inside = Rim(scene.current, resized(scene.painted, size)), Inside(goal.points, size)
        bent = bend(mouth, goal.warp_from(mouth.points), rim, inside)
        colours = bent.correction.copy()
        if bent.drawn is not None:
            colours += bent.drawn
        trust = _trust(found.apart)
        if self._model is None or not self.refinement or trust == 1:
            return Painting(mouth, bent.warp.flow, bent.kept, colours, self._covered(bank, bent.lit, goal, rim))
        preset, region = self._model.preset, resized(scene.region, size)
        followed = _share_of_network(preset, len(bank))
        asked = followed > 0 and spare is None
        lips = likely(bent, around, goal, rim, preset.references if asked else 2)
        seen = lips[-1]
        window = window_of(region, preset.window, preset.stem)
        refinement = (lips[0] - seen)[window] * alike(region[window])
        if asked:
            spare = self._spare = _refine(self._model, lips, scene.current, region, goal, window)
        if followed > 0 and spare is not None:
            refinement += np.float32(followed) * spare
        between = resized(goal.inside(), size)[window]
        refinement = _softened(refinement, seen[window], alike(between))
        refinement *= alike(_known(bent, between, window, len(around)))
        colours[window] += (1 - trust) * refinement
        return Painting(mouth, bent.warp.flow, bent.kept, colours, self._covered(bank, lips[0], goal, rim))

    def _covered(self, bank: ReferenceBank, expected: Colours, goal: Target, rim: Rim) -> Mask | None:
        """What of the mouth something is in front of, as far as the bank tells."""
        return self._cover(expected, goal, rim) if len(bank) >= KNOWN else None


class PaintedFace:
    """The whole face as the network paints it, of which the mouth is taken. MyTalk, section 3.5.

    Its references are constant, so their features are made once; and again each time that the bank has doubled, which
    is at most six times a session.
    """

    def __init__(self, model: AppearanceModel) -> None:
        self.reuse_residual, self.refinement = False, True  # there is nothing that it could leave out
        self._model = model
        self._chosen_of = 0  # mouths in the bank when they were chosen
        self._features: Tensor | None = None

    def paint(self, bank: ReferenceBank, goal: Target, scene: Scene) -> Painting:
        current, face = scene.current, scene.face
        if face is None:
            raise ValueError("a model that sees the whole face needs all 478 tracked landmarks: give render its face=")
        model = self._model
        size, crop = model.preset.size, FACE.mouth(model.preset.size)
        lips, region = self._lip_features(bank), resized(scene.region, size)
        drawn = face.copy()
        drawn[_LOWER] = goal.points
        seen = face_inputs(np.zeros(0, np.float32), current, region, drawn)
        non_lip, landmarks = (_batch(array, model).movedim(-1, -3) for array in (seen.non_lip, seen.landmarks))
        with torch.inference_mode():
            picture = model.paint(lips, non_lip, landmarks)[0, :, *crop]
        mouth = seen.exposure.colours(to_host(picture).movedim(0, -1).float().numpy())
        # How far its colours are off where the frame is known, around the mouth, they are off in the mouth.
        mouth += Rim(current[crop], region).correction(mouth)
        return Painting(None, GRID, None, mouth)

    def _lip_features(self, bank: ReferenceBank) -> Tensor:
        if self._features is None or len(bank) >= 2 * self._chosen_of:
            self._chosen_of = len(bank)
            preset = self._model.preset
            chosen = spread_mouths(bank.mouths, preset.references)
            pictures = np.stack([lip_picture(mouth.crop, mouth.points, preset.masked) for mouth in chosen])
            with torch.inference_mode():
                self._features = self._model.lip_features(_batch(pictures, self._model).movedim(-1, -3))
        return self._features


def spread_mouths(mouths: list[Mouth], count: int) -> list[Mouth]:
    """``count`` mouths from the widest open to the narrowest, evenly by rank; repeated where there are fewer."""
    ranked = sorted(mouths, key=lambda mouth: -float(aperture(mouth.points)))
    places = np.linspace(0, len(ranked) - 1, count).round().astype(int)
    return [ranked[place] for place in places]


def _refine(
    model: AppearanceModel,
    lips: NDArray[np.float32],
    current: Colours,
    region: Mask,
    goal: Target,
    window: Window,
) -> Colours:
    """What the network adds to the likeliest picture, ``(W, W, 3)`` in 0..255."""
    seen = mouth_inputs(lips, current, region, goal.points, window)
    pictures = (_batch(array, model) for array in (seen.references, seen.non_lip, seen.landmarks))
    with torch.inference_mode():
        added = to_host(model.refine(*pictures)[0]).float().numpy()
    return np.asarray(added * seen.exposure.unit, np.float32)


def _softened(refinement: Colours, seen: Colours, inside: NDArray[np.float32]) -> Colours:
    """Mending without detail of the mouth that is ``seen``; ``inside`` ``(W, W, 3)``: what of it lies between the lips.

    There a mean, or the network, makes fog of what differs, teeth and dark and lips. It is believed in how light the
    place is, as a gain: what is dark stays so, and teeth stay as white as they are.
    """
    skin = cv2.GaussianBlur(refinement, (0, 0), _REFINEMENT_BLUR)
    change, light = (cv2.GaussianBlur(cv2.transform(one, _GREY), (0, 0), _INSIDE_BLUR) for one in (refinement, seen))
    gain = np.clip(change / (np.maximum(light, 0) + _BLACK), -_INSIDE_GAIN, _INSIDE_GAIN)
    return np.asarray(skin + inside * (alike(gain) * seen - skin), np.float32)


def _known(nearest: WarpedMouth, inside: NDArray[np.float32], window: Window, mouths: int) -> NDArray[np.float32]:
    """How far mending is followed, ``(W, W)``: not at all where the inside was drawn or comes from one mouth alone."""
    known = np.float32(min(1.0, (mouths - 1) / (REFERENCES - 1)))
    share = 1 - (1 - known) * inside
    return share if nearest.kept is None else share * nearest.kept[window]


def _share_of_network(preset: AppearancePreset, mouths: int) -> float:
    """What many people taught a network is worth much beside one mouth, and little beside a dozen of the same person:
    all of it up to a third of ``enough``.
    """
    if not preset.enough:
        return 1.0
    return min(1.0, max(0.0, 1.5 * (1 - mouths / preset.enough)))


def _batch(pictures: NDArray[np.float32], model: AppearanceModel) -> Tensor:
    """Pictures ``(..., H, W, 3)`` as a batch of one, where and as the model has its weights."""
    weight = next(model.parameters())
    return to_device(torch.from_numpy(pictures), weight.device, weight.dtype).unsqueeze(0)


def _trust(apart: float) -> float:
    """1 for a mouth seen in just this shape, which wants no mending; 0 for any other."""
    return min(1.0, max(0.0, (_OTHER_SHAPE - apart) / (_OTHER_SHAPE - _SAME_SHAPE)))
