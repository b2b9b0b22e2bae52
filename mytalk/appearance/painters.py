"""Where the pixels of a wanted mouth come from: a mouth of the bank, bent and mended, or the network alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.appearance.bank import Mouth, ReferenceBank, distances
from mytalk.appearance.cavity import Inside
from mytalk.appearance.compose import Painting
from mytalk.appearance.framing import FACE, Window
from mytalk.appearance.mask import Mask
from mytalk.appearance.model import AppearanceModel
from mytalk.appearance.prepare import Bent, bend, face_inputs, lip_picture, mouth_inputs, resized, window_of
from mytalk.appearance.preset import REFERENCES
from mytalk.appearance.tone import Colours, Rim, alike
from mytalk.appearance.warp import GRID, Points, Target
from mytalk.face.landmarks import LOWER_FACE, aperture

_SAME_SHAPE, _OTHER_SHAPE = 0.2, 1.0  # distances of mouths, crop pixels, between which the network fades in
_MENDING_BLUR = 1.2  # Gaussian sigma, crop pixels: pores and lip lines stay those of the nearest mouth
_INSIDE_BLUR = 2.5  # and inside a mouth the edges of teeth too
_INSIDE_GAIN = 0.5  # how much lighter or darker it is made at most, as a share of what it is
_BLACK = 20.0  # keeps shares of dark pixels calm, 0..255
_LOWER = list(LOWER_FACE)


@dataclass(frozen=True, slots=True)
class Scene:
    """The frame that a mouth is painted into."""

    current: Colours  # the picture as the network sees it, its skin moved to the wanted landmarks
    region: Mask  # (128, 128): what may be painted anew
    painted: Mask  # (128, 128): what of it is
    face: Points | None  # (478, 2) landmarks that were tracked, crop pixels


class Painter(Protocol):
    """Paints one mouth. Belongs to one session.

    ``frugal`` saves work where the painter can, at some cost to the picture; without ``mending`` the network does
    nothing, where the painter can do without. Both may be set at any time.
    """

    frugal: bool
    mending: bool

    def paint(self, bank: ReferenceBank, goal: Target, scene: Scene) -> Painting:
        """The mouth ``goal`` from a bank that is not empty, for the frame of ``scene``."""
        ...


class BentMouth:
    """The nearest mouth of the bank, bent to the goal; the network mends it with the others' help.

    ``frugal``: every second frame takes the mending of the frame before, where its nearest mouth is the same.
    """

    def __init__(self, model: AppearanceModel | None) -> None:
        self.frugal, self.mending = False, True
        self._model = model
        self._last: Mouth | None = None
        self._spare: tuple[Window, Colours] | None = None  # mending of the last frame, which made it

    def paint(self, bank: ReferenceBank, goal: Target, scene: Scene) -> Painting:
        count = 1 if self._model is None else self._model.preset.references
        mouths = bank.nearest(goal.points, count, self._last)
        trust = _trust_in(mouths[0], goal.points) if self._model is not None and self.mending else 1.0
        spare = self._spare if self.frugal and mouths[0] is self._last else None
        self._last, self._spare = mouths[0], None
        if trust == 1 or spare is not None:
            mouths = mouths[:1]
        current, size = scene.current, len(scene.current)
        region = resized(scene.region, size)
        rim, inside = Rim(current, resized(scene.painted, size)), Inside(goal.points, size)
        bent: list[Bent] = []
        for mouth in mouths:
            again = next((i for i, other in enumerate(mouths[: len(bent)]) if other is mouth), None)
            bent.append(bend(mouth, goal.warp_from(mouth.points), rim, inside) if again is None else bent[again])
        colours = bent[0].correction.copy()
        if bent[0].drawn is not None:
            colours += bent[0].drawn
        if self._model is not None and trust < 1:
            if spare is None:
                different = len({id(mouth) for mouth in mouths})
                mended = self._spare = _mend(self._model, bent, current, region, goal, different)
            else:
                mended = spare
            window, mending = mended
            colours[window] += (1 - trust) * mending
        return Painting(mouths[0], bent[0].warp.flow, bent[0].kept, colours)


class PaintedFace:
    """The whole face as the network paints it, of which the mouth is taken. MyTalk, section 3.5.

    Its references are constant, so their features are made once; and again each time that the bank has doubled, which
    is at most six times a session.
    """

    def __init__(self, model: AppearanceModel) -> None:
        self.frugal, self.mending = False, True  # there is nothing that it could leave out
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
        mouth = seen.exposure.colours(picture.movedim(0, -1).float().cpu().numpy())
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


def _mend(
    model: AppearanceModel, bent: list[Bent], current: Colours, region: Mask, goal: Target, different: int
) -> tuple[Window, Colours]:
    """What to add to the nearest mouth, ``(W, W, 3)`` in 0..255, and where. ``different``: mouths among those bent."""
    window = window_of(region, model.preset.window, model.preset.stem)
    seen = mouth_inputs(bent, current, region, goal.points, window)
    pictures = (_batch(array, model) for array in (seen.references, seen.non_lip, seen.landmarks))
    with torch.inference_mode():
        mending = model.mending(*pictures)[0].float().cpu().numpy() * seen.exposure.unit
    if model.preset.residual:
        inside = resized(goal.inside(), len(region))[window]
        mending = _softened(mending, bent[0].colours[window] + bent[0].correction[window], alike(inside))
        mending *= alike(_followed(bent[0], inside, window, different))
    return window, mending


def _softened(mending: Colours, seen: Colours, inside: NDArray[np.float32]) -> Colours:
    """Mending without detail of the mouth that is ``seen``; ``inside`` ``(W, W, 3)``: what of it lies between the lips.

    There the network averages what it cannot know, teeth and dark, into fog. It is believed in how light the place is,
    as a gain: what is dark stays so.
    """
    skin = cv2.GaussianBlur(mending, (0, 0), _MENDING_BLUR)
    change, light = (cv2.GaussianBlur(one, (0, 0), _INSIDE_BLUR) for one in (mending, seen))
    gain = np.clip(change / (np.maximum(light, 0) + _BLACK), -_INSIDE_GAIN, _INSIDE_GAIN)
    return np.asarray(skin + inside * (gain * seen - skin), np.float32)


def _followed(nearest: Bent, inside: NDArray[np.float32], window: Window, different: int) -> NDArray[np.float32]:
    """How far the network is followed, ``(W, W)``: not at all where the inside was drawn or comes from one mouth
    alone.
    """
    known = np.float32(min(1.0, (different - 1) / (REFERENCES - 1)))
    share = 1 - (1 - known) * inside
    return share if nearest.kept is None else share * nearest.kept[window]


def _batch(pictures: NDArray[np.float32], model: AppearanceModel) -> Tensor:
    """Pictures ``(..., H, W, 3)`` as a batch of one, where and as the model has its weights."""
    weight = next(model.parameters())
    return torch.from_numpy(pictures).to(weight.device, weight.dtype).unsqueeze(0)


def _trust_in(mouth: Mouth, wanted: Points) -> float:
    """1 for a mouth seen in just this shape, which wants no mending; 0 for any other."""
    apart = float(distances(mouth.points[None], wanted)[0])
    return min(1.0, max(0.0, (_OTHER_SHAPE - apart) / (_OTHER_SHAPE - _SAME_SHAPE)))
