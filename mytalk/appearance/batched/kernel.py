"""Renders frames of several sessions in one call, on any device of torch: the arithmetic of
`mytalk.appearance.kernel`, whose pictures it makes to one step of 255."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.appearance.batched.compose import compose, layers_of
from mytalk.appearance.batched.fields import enlarged
from mytalk.appearance.batched.light import track_cover
from mytalk.appearance.batched.mouth import prepare, refined
from mytalk.appearance.batched.scenes import LEAST_SIDE, Part, Scenes, part_of, tensors_of
from mytalk.appearance.colour_match import CELLS
from mytalk.appearance.kernel import NOTHING_PREPARED, Followed, Network
from mytalk.appearance.paint import Prepared
from mytalk.appearance.preset import AppearancePreset
from mytalk.appearance.scene import Planes, Scene
from mytalk.appearance.warm_up import empty_scene
from mytalk.face.pose import CROP_PIXELS
from mytalk.runtime.call_batcher import CallBatcher
from mytalk.runtime.cuda_graphs import PaddedGraphs, Recorder, record_batches, to_device, to_host

BATCH = 8
"""Frames of one batch at most."""

_RECORDED_SIDES = (LEAST_SIDE, 2 * LEAST_SIDE, 4 * LEAST_SIDE)  # of canvases: crops of 128 to 500 pixels of a picture


class BatchedKernel:
    """Renders by torch on one device: frames that threads ask for at once share a batch. Any thread may call it."""

    def __init__(self, device: torch.device, preset: AppearancePreset, record: Recorder | None = None) -> None:
        """On a GPU frames are rendered by CUDA graphs; ``record`` makes them elsewhere."""
        self._device, self._preset = device, preset
        self._means = max(1, preset.references - 1)
        graphs = device.type == "cuda" or record is not None
        self._render = CallBatcher(PaddedGraphs(render_batch, record) if graphs else render_batch, BATCH)
        shown = self._show
        self._prepare = CallBatcher(PaddedGraphs(shown, record) if graphs else shown, BATCH)

    def prepare(self, scene: Scene, followed: Followed, cover: NDArray[np.float32], network: Network) -> Prepared:
        """Returns what a network is shown of a frame; the rest of it is empty."""
        corrected, changes, current, region = self._call(self._prepare, scene, followed, cover, network)[1]
        nearest = NOTHING_PREPARED.nearest._replace(corrected=corrected)
        target = NOTHING_PREPARED.target._replace(points=scene.wanted)
        return NOTHING_PREPARED._replace(
            target=target, region=region, current=current, nearest=nearest, changes=changes[: network.means]
        )

    def finish(
        self, scene: Scene, followed: Followed, cover: NDArray[np.float32], network: Network, one: Prepared | None
    ) -> Planes:
        """Renders a frame. ``cover`` goes from frame to frame and is changed; ``one`` is made again, which is as
        quick as bringing it."""
        part, (y, u, v, covered, finite) = self._call(self._render, scene, followed, cover, network)
        cover[:] = covered
        y, u, v = _replaced(scene, part, y, u, v)
        return Planes(y, u, v, bool(finite))

    def _call(
        self, function: CallBatcher, scene: Scene, followed: Followed, cover: NDArray[np.float32], network: Network
    ) -> tuple[Part, list[NDArray[Any]]]:
        part = part_of(scene.frame.y, scene.frame.to_picture)
        shares = (*(float(one) for one in followed), float(network.means > 0))
        arguments = tensors_of(scene, part, shares, cover, network.residual, network.cell)
        with torch.inference_mode():
            results = function(*(to_device(one, self._device) for one in arguments))
            return part, [to_host(one)[0].numpy() for one in results]

    def _show(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        one = prepare(Scenes(*tensors), self._means)
        return one.nearest.corrected, one.changes, one.current, one.region

    def record(self) -> None:
        """Renders pictures of usual sizes in batches of all sizes, so that no graph is recorded while sessions wait."""
        for side in _RECORDED_SIDES:
            record_batches(partial(self.render_empty, side), BATCH)

    def render_empty(self, side: int, rows: int) -> tuple[Tensor, ...]:
        """Renders so many black pictures of ``side`` rows and columns, as sessions ask for them."""
        with torch.inference_mode():
            return self._render.function(*empty_frames(self._preset, self._device, side, rows))


def empty_frames(preset: AppearancePreset, device: torch.device, side: int, rows: int) -> list[Tensor]:
    """Returns what `render_batch` takes, on a device, for so many black pictures of ``side`` rows and columns."""
    residual = np.zeros((preset.window, preset.window, 3), np.float32)
    cover, whole = np.zeros((CELLS, CELLS), np.float32), Part(0, 0, side, side)
    one = tensors_of(empty_scene(side), whole, (1.0,) * 5, cover, residual, preset.stem)
    return [to_device(tensor, device).expand(rows, *tensor.shape[1:]) for tensor in one]


def render_batch(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Renders frames, given as the fields of `Scenes`; returns planes of their canvases, how far cells are covered, and
    whether all was a number."""
    scenes = Scenes(*tensors)
    one = prepare(scenes, 1)
    changes = torch.where(scenes.mixes_mean[:, None, None, None], one.changes[:, 0], 0)
    colours = refined(one, scenes, changes)
    shares, covered = track_cover(scenes.cover, one.nearest.corrected + changes, one.interior, one.matcher)
    shares = torch.where(scenes.may_be_covered[:, None, None], shares, scenes.cover)
    hidden = enlarged(shares[..., None], CROP_PIXELS)[..., 0]
    hidden = torch.where((covered & scenes.may_be_covered)[:, None, None], hidden, 0)
    y, u, v, finite = compose(scenes, layers_of(scenes, one, colours, hidden), one.skin.moves)
    return y, u, v, shares, finite


def _replaced(scene: Scene, part: Part, *canvases: NDArray[Any]) -> list[NDArray[np.uint8]]:
    """Returns a picture's planes, a part of them replaced."""
    made = []
    for plane, canvas, shrink in zip(scene.frame[:3], canvases, (1, 2, 2), strict=True):
        left, top, right, bottom = (edge // shrink for edge in part)
        whole = plane.copy()
        whole[top:bottom, left:right] = canvas[: bottom - top, : right - left]
        made.append(whole)
    return made
