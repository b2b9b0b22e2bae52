"""Trains stage 2: the appearance model and its discriminator, on aligned faces. MyTalk, section 3.4."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.appearance.discriminator import Discriminator
from mytalk.appearance.model import AppearanceModel
from mytalk.checkpoint import save_preset
from mytalk.presets import Preset
from mytalk.torch_checkpoint import save_tensors
from mytalk.training.appearance.examples import AppearanceExamples
from mytalk.training.appearance.losses import DiscriminatorLoss, GeneratedPictures, GeneratorLoss, psnr
from mytalk.training.appearance.options import AppearanceOptions
from mytalk.training.data.store import ClipStore
from mytalk.training.run.task import Batch, Phase, Task, to_device

_SHOWN = 4  # rows of a sample picture


class AppearanceTask(Task):
    """Trains the model to render frames of clips from other frames of them."""

    name = "appearance"
    best = "l1"

    def __init__(
        self, preset: Preset, options: AppearanceOptions, store: ClipStore, held_out: ClipStore | None = None
    ) -> None:
        torch.manual_seed(options.seed)
        self._preset, self._options = preset, options
        self.averaged = AppearanceModel(preset.appearance)
        discriminator, painted = Discriminator(preset.appearance), GeneratedPictures()
        self._painter = GeneratorLoss(self.averaged, discriminator, painted, options)
        critic = DiscriminatorLoss(discriminator, painted, options)
        phases = [Phase("painter", self._painter)]
        if options.patch_weight:
            rate = options.patch_rate or None
            phases.append(Phase("critic", critic, rate, options.patch_betas, start=options.patch_start, clip=False))
        self.phases = phases
        self.examples = AppearanceExamples(store, preset.appearance, options)
        self.held_out = None if held_out is None else AppearanceExamples(held_out, preset.appearance, _plain(options))

    def after_step(self, step: int, losses: Mapping[str, float]) -> None:
        if "patch" in losses:
            self._painter.follow(losses["patch"])

    def validate(self, batch: Batch) -> Mapping[str, Tensor]:
        picture, _ = self._painter.paint(batch)
        losses = self._painter.reconstruction(picture, batch)
        figures = {"psnr": psnr(picture, batch["truth"], torch.ones_like(batch["region"]), batch["unit"])}
        figures["mouth_psnr"] = psnr(picture, batch["truth"], batch["mouth"], batch["unit"])
        return {"loss": losses["l1"], **losses, **figures}

    def painted(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns what was filmed and what is rendered, uint8 ``(B, 3, W, W)`` each."""
        picture, _ = self._painter.paint(batch)
        unit, mean = batch["unit"][:, None, None, None], batch["mean"][:, :, None, None]
        filmed, painted = ((one * unit + mean).clamp(0, 255).round().byte() for one in (batch["truth"], picture))
        return filmed, painted

    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        """Draws one row an example: references, non-lip region, landmarks, truth, ours, four times their difference."""
        examples = self.examples if self.held_out is None else self.held_out
        batch = examples.collate([examples.draw(0, row) for row in range(_SHOWN)])
        batch = to_device(batch, next(self.averaged.parameters()).device)
        with torch.no_grad():
            picture, _ = self._painter.paint(batch)
        return {"appearance": _sheet(batch, picture)}

    def export(self, folder: Path) -> None:
        save_preset(folder, self._preset)
        save_tensors(folder, "appearance", self.averaged.state_dict())


def _plain(options: AppearanceOptions) -> AppearanceOptions:
    """Returns options of held-out rows: as filmed, every person alike, always the same rows."""
    kept = {"drawn": options.drawn, "same_frame": options.same_frame, "seed": options.seed}
    return AppearanceOptions(by_person=True, **kept)  # type: ignore[arg-type]


def _sheet(batch: Batch, picture: Tensor) -> NDArray[np.uint8]:
    """Tiles pictures to ``(rows x W, columns x W, 3)``."""
    unit, mean = batch["unit"][:, None, None, None], batch["mean"][:, :, None, None]
    columns = [*batch["references"].unbind(1), batch["non_lip"]]
    colours = [column * unit + mean for column in columns]
    colours.append((batch["landmarks"] + 1) * 127.5)
    colours += [batch["truth"] * unit + mean, picture * unit + mean, 4 * (picture - batch["truth"]).abs() * unit]
    sheet = torch.cat([torch.cat(list(column), dim=1) for column in colours], dim=2)  # (3, B W, C W)
    return np.asarray(sheet.clamp(0, 255).round().byte().movedim(0, -1).cpu().numpy(), np.uint8)
