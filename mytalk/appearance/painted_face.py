"""Paints the whole face by a network, and takes the mouth from it. MyTalk, section 3.5. Needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.appearance.bank import Mouth, ReferenceBank
from mytalk.appearance.colour_match import correction, matcher_of
from mytalk.appearance.crop_frame import FACE
from mytalk.appearance.interfaces import Job
from mytalk.appearance.kernel import blend_painted
from mytalk.appearance.mask import mouth_mask
from mytalk.appearance.mesh import Points
from mytalk.appearance.network_inputs import face_inputs, lip_picture, moved_skin, resized, to_crop
from mytalk.appearance.paint import Skin, follow
from mytalk.appearance.placement import placement_of
from mytalk.appearance.preset import AppearancePreset
from mytalk.appearance.sampling import Colours, Matrix
from mytalk.appearance.warp import target_of
from mytalk.face.landmarks import LOWER_FACE, aperture
from mytalk.face.pose import CROP_PIXELS
from mytalk.picture import Picture
from mytalk.runtime.cuda_graphs import to_device, to_host

_LOWER = list(LOWER_FACE)


class TorchModel(Protocol):
    """Describes what is asked of `mytalk.appearance.model.AppearanceModel`, which makes these painters."""

    preset: AppearancePreset

    def parameters(self) -> Iterator[Tensor]: ...

    def refine(self, references: Tensor, non_lip: Tensor, landmarks: Tensor) -> Tensor: ...

    def lip_features(self, references: Tensor) -> Tensor: ...

    def paint(self, lips: Tensor, non_lip: Tensor, landmarks: Tensor) -> Tensor: ...


class PaintedFace:
    """Paints the whole face by the network and takes the mouth from it.

    Its references are constant, so their features are computed once, and again each time the bank has doubled, which is
    at most six times a session.
    """

    def __init__(self, model: TorchModel) -> None:
        self.reuse_residual, self.refinement = False, True  # there is nothing that it could leave out
        self._model = model
        self._chosen_from = 0  # mouths in the bank when they were chosen
        self._features: Tensor | None = None

    def paint(self, bank: ReferenceBank, job: Job) -> Picture:
        """Paints the mouth ``job.wanted``. Raises ValueError where ``job`` has no landmarks of the whole face, and
        FloatingPointError where the network gave NaN."""
        if job.face is None:
            raise ValueError("a model that sees the whole face needs all 478 tracked landmarks: give render its face=")
        placement = placement_of(job.picture, job.frame.to_crop, FACE)
        if placement is None:
            return job.picture
        skin = follow(target_of(job.wanted), job.source)
        current = self._current(job.picture.region_rgb(placement.box), placement.to_pixels, skin)
        colours = self._mouth(bank, job.wanted, job.face, current)
        planes = blend_painted(job.frame, skin, job.wanted, colours, job.opacity)
        if not planes.finite:
            raise FloatingPointError("a face that was painted is not a number")
        return replace(job.picture, y=planes.y, u=planes.u, v=planes.v)

    def _current(self, pixels: NDArray[np.uint8], to_pixels: Matrix, skin: Skin) -> Colours:
        """Crops the face as the network sees it, the skin of its mouth crop moved."""
        size = self._model.preset.size
        current = to_crop(pixels, to_pixels, size, FACE).astype(np.float32)
        if skin.moves:
            mouth = FACE.mouth(size)
            current[mouth] = moved_skin(np.ascontiguousarray(current[mouth]), skin)
        return current

    def _mouth(self, bank: ReferenceBank, wanted: Points, face: Points, current: Colours) -> Colours:
        """Returns the mouth crop as the network paints it, ``(128, 128, 3)``."""
        model, size = self._model, self._model.preset.size
        lips, crop, region = self._lip_features(bank), FACE.mouth(size), resized(mouth_mask(wanted), size)
        drawn = face.copy()
        drawn[_LOWER] = wanted
        base = face_inputs(np.zeros(0, np.float32), current, region, drawn)
        non_lip, landmarks = (batch_of(array, model).movedim(-1, -3) for array in (base.non_lip, base.landmarks))
        with torch.inference_mode():
            picture = model.paint(lips, non_lip, landmarks)[0, :, *crop]
        mouth = np.ascontiguousarray(base.exposure.denormalise(to_host(picture).movedim(0, -1).float().numpy()))
        # How far its colours are off where the frame is known, around the mouth, they are off in the mouth.
        mouth += correction(matcher_of(np.ascontiguousarray(current[crop]), region), mouth)
        return np.ascontiguousarray(resized(mouth, CROP_PIXELS))

    def _lip_features(self, bank: ReferenceBank) -> Tensor:
        if self._features is None or len(bank) >= 2 * self._chosen_from:
            self._chosen_from = len(bank)
            preset = self._model.preset
            chosen = spread_mouths(bank.mouths, preset.references)
            pictures = np.stack([lip_picture(mouth.crop, mouth.points, preset.masked) for mouth in chosen])
            with torch.inference_mode():
                self._features = self._model.lip_features(batch_of(pictures, self._model).movedim(-1, -3))
        return self._features


class TorchRefiner:
    """Refines warped mouths by an appearance model in torch, on any device."""

    def __init__(self, model: TorchModel) -> None:
        self.preset = model.preset
        self._model = model

    def refine(
        self, references: NDArray[np.float32], non_lip: NDArray[np.float32], landmarks: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Returns what is added to the first reference, as `mytalk.appearance.interfaces.Refiner` does."""
        pictures = (batch_of(array, self._model) for array in (references, non_lip, landmarks))
        with torch.inference_mode():
            return np.asarray(to_host(self._model.refine(*pictures)[0]).float().numpy(), np.float32)


def spread_mouths(mouths: list[Mouth], count: int) -> list[Mouth]:
    """Picks ``count`` mouths from the widest open to the narrowest, evenly by rank; some repeat where there are
    fewer."""
    ranked = sorted(mouths, key=lambda mouth: -float(aperture(mouth.points)))
    places = np.linspace(0, len(ranked) - 1, count).round().astype(int)
    return [ranked[place] for place in places]


def batch_of(pictures: NDArray[np.float32], model: TorchModel) -> Tensor:
    """Converts pictures ``(..., H, W, 3)`` to a batch of one, on the device and in the type of the model's weights."""
    weight = next(model.parameters())
    return to_device(torch.from_numpy(pictures), weight.device, weight.dtype).unsqueeze(0)
