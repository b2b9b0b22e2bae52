"""Paints mouths by warping the nearest one of the bank, mixing in the mean of others, and refining by a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.bank import Mouth, ReferenceBank
from mytalk.appearance.colour_match import CELLS
from mytalk.appearance.interfaces import Job, Kernel, Refiner
from mytalk.appearance.kernel import CompiledKernel, Followed, Network
from mytalk.appearance.network_inputs import mouth_inputs
from mytalk.appearance.occlusion import MIN_MOUTHS
from mytalk.appearance.paint import Prepared, window_of
from mytalk.appearance.preset import EDGE, REFERENCES, AppearancePreset
from mytalk.appearance.reference_mean import MAX_NEIGHBOURS
from mytalk.appearance.sampling import Colours
from mytalk.appearance.scene import Planes, Reference, Scene
from mytalk.picture import Picture

_SAME_SHAPE = 0.2  # distance of mouths, crop pixels, up to which nothing is refined
_OTHER_SHAPE = 1.0  # and from which on all is


class WarpedReference:
    """Warps the nearest mouth of the bank to the target, blends it with the mean of mouths of about this shape, and
    refines the result by a network while the bank holds few mouths. ``refiner`` None: the nearest mouth alone.

    ``reuse_residual``: every second frame adds the network's residual of the frame before, where the nearest mouth is
    the same. Without ``refinement`` the nearest mouth is all that is used.
    """

    def __init__(self, refiner: Refiner | None, kernel: Kernel | None = None) -> None:
        """``kernel`` None: compiled for the CPU."""
        self.reuse_residual, self.refinement = False, True
        self._refiner = refiner
        self._kernel = kernel or CompiledKernel()
        self._preset = EDGE if refiner is None else refiner.preset
        self._last: Mouth | None = None
        self._residual: Colours | None = None  # what the network added to the last frame, which asked it
        self._nothing = np.zeros((self._preset.window, self._preset.window, 3), np.float32)  # for want of a residual
        self._cover = np.zeros((CELLS, CELLS), np.float32)

    def paint(self, bank: ReferenceBank, job: Job) -> Picture:
        """Paints the mouth ``job.wanted`` from the nearest mouth of the bank."""
        match = bank.find(job.wanted, MAX_NEIGHBOURS, self._last, job.detail)
        mouth = bank.recoded(match.mouth, job.picture)
        residual = self._residual if self.reuse_residual and mouth is self._last else None
        self._last, self._residual = mouth, None
        scene = Scene(job.frame, job.source, job.wanted, reference_of(mouth), match.neighbours)
        share = 0.0 if self._refiner is None or not self.refinement else 1 - _shape_trust(match.distance)
        known = min(1.0, (len(match.neighbours.distance) - 1) / (REFERENCES - 1))
        followed = Followed(share, known, len(bank) >= MIN_MOUTHS and not job.foreign, job.opacity)
        weight = _network_weight(self._preset, len(bank)) if share > 0 else 0.0
        if self._refiner is None or weight == 0:
            network = Network(self._nothing, self._preset.stem, 1 if share > 0 else 0)
            planes = self._kernel.finish(scene, followed, self._cover, network, None)
        else:
            planes = self._refined(self._refiner, scene, followed, weight, residual)
        if not planes.finite:
            raise FloatingPointError("a mouth that was painted is not a number")
        return replace(job.picture, y=planes.y, u=planes.u, v=planes.v)

    def _refined(
        self, refiner: Refiner, scene: Scene, followed: Followed, weight: float, residual: Colours | None
    ) -> Planes:
        """Paints by the network's residual, that of the last frame where it is given."""
        preset = self._preset
        network = Network(self._nothing, preset.stem, 1 if residual is not None else preset.references - 1)
        one = self._kernel.prepare(scene, followed, self._cover, network)
        if residual is None:
            residual = self._residual = _residual_of(refiner, one)
        network = network._replace(residual=np.float32(weight) * residual)
        return self._kernel.finish(scene, followed, self._cover, network, one)


def reference_of(mouth: Mouth) -> Reference:
    """Returns a mouth of the bank, its pixels kept, as compiled code takes it."""
    pixels = mouth.pixels
    assert pixels is not None, "mouths that are warped keep their pixels"
    return Reference(mouth.points, mouth.crop, pixels.y, pixels.u, pixels.v, mouth.to_pixels, mouth.skin)


def _residual_of(refiner: Refiner, one: Prepared) -> Colours:
    """Returns the network's residual to the first reference picture, ``(W, W, 3)`` in 0..255."""
    side = refiner.preset.window
    row, column = window_of(one.region, side, refiner.preset.stem)
    window = slice(row, row + side), slice(column, column + side)
    nearest = one.nearest.corrected
    lips: NDArray[np.float32] = np.concatenate([nearest + one.changes, nearest[None]])
    inputs = mouth_inputs(lips, one.current, one.region, one.target.points, window)
    added = refiner.refine(inputs.references, inputs.non_lip, inputs.landmarks)
    return np.ascontiguousarray(added * inputs.exposure.unit, np.float32)


def _network_weight(preset: AppearancePreset, mouths: int) -> float:
    """Returns the weight of the network's residual for a bank of so many mouths: 1 up to a third of ``enough``, then
    falling to 0.

    A network taught by many people helps much beside one mouth, and little beside a dozen of the same person.
    """
    if not preset.enough:
        return 1.0
    return min(1.0, max(0.0, 1.5 * (1 - mouths / preset.enough)))


def _shape_trust(distance: float) -> float:
    """Returns 1 for a mouth seen in this very shape, which needs no refinement, and 0 for a clearly different one."""
    return min(1.0, max(0.0, (_OTHER_SHAPE - distance) / (_OTHER_SHAPE - _SAME_SHAPE)))
