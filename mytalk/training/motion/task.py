"""Trains stage 1: speech encoder and denoiser, x0 loss + identity loss. MyTalk, eq. 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mytalk.checkpoint import CONFIG, read_speech_model, save_preset, save_speech_model
from mytalk.errors import OptionError
from mytalk.face.landmarks import INNER_LOWER, INNER_UPPER, LIPS
from mytalk.motion.conditions import Conditions
from mytalk.motion.model import MotionModel
from mytalk.motion.sampler import TIMESTEPS, alpha_bars
from mytalk.motion.space_module import MotionSpaceModule
from mytalk.presets import Preset
from mytalk.speech.factory import is_built_in, load_front
from mytalk.speech.timing import MEL_PER_MOTION
from mytalk.speech.wav2vec import Wav2Vec2
from mytalk.torch_checkpoint import load_into, read_tensors, save_tensors
from mytalk.training.data.people import fit_space, sample_people
from mytalk.training.data.person_offsets import read_offsets
from mytalk.training.data.store import ClipStore
from mytalk.training.motion.examples import UNHEARD, HeldOutWindows, MotionExamples, MotionOptions
from mytalk.training.run.checkpoints import Checkpoints
from mytalk.training.run.loop import WEIGHTS, total_steps
from mytalk.training.run.task import Batch, Examples, Phase, Task, full_precision, to_device
from mytalk.training.voices.phones import CLASSES

APERTURE_SPREAD = 0.08
"""Unit of the aperture loss, canonical units: about what an aperture varies by."""

PHONES = "phones."
"""Prefix of the names of tensors that training alone needs."""

_PHONE_DELAY = 2  # motion frames after which the features of a phone's surroundings are complete
_PICTURE_FRAMES = 8


class MotionLosses(nn.Module):
    """Holds the trained parts of a motion model, and their losses. Its state dict is the ``motion`` part of a
    checkpoint, but for what ``PHONES`` names: a layer that classifies the phones of synthetic speech from speech
    features, so that the features tell phones apart; nothing uses it later.

    Its state dict is the ``motion`` part of a checkpoint, but for what ``PHONES`` names: a layer that tells the phones
    of synthetic speech from speech features, so that they learn to hear them, and that nobody asks later.
    """

    def __init__(self, model: MotionModel, options: MotionOptions) -> None:
        super().__init__()
        self.speech, self.space, self.denoiser = model.speech, model.space, model.denoiser
        self._model, self._options = [model], options
        self.alpha_bar: Tensor
        self.gap: Tensor
        self.coefficient_weight: Tensor
        self.register_buffer("alpha_bar", torch.from_numpy(alpha_bars()), persistent=False)
        gap = model.space.basis.unflatten(-1, (-1, 3))[:, :, 1] * model.space.scale[:, None]  # (K, 169)
        gap = (gap[:, list(INNER_LOWER)] - gap[:, list(INNER_UPPER)]).mean(-1) / APERTURE_SPREAD
        weight = model.space.scale**options.coefficient_weight
        if options.phone_weight:
            self.phones = nn.Linear(model.speech.width, MEL_PER_MOTION * len(CLASSES))
        self.register_buffer("gap", gap, persistent=False)  # (K,)
        self.register_buffer("coefficient_weight", weight / weight.square().mean().sqrt(), persistent=False)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Computes means over the frames that are neither known nor padding."""
        options = self._options
        a = self.alpha_bar[batch["t"]][:, None, None]
        noisy = a.sqrt() * batch["motion"] + (1 - a).sqrt() * batch["noise"]
        conditions = self.conditions(batch)
        x0 = self.denoiser(noisy, batch["t"], conditions)
        losses = self.losses(x0, batch)
        losses["loss"] = (
            options.x0_weight * losses["x0"]
            + options.aperture_weight * losses["aperture"]
            + options.velocity_weight * losses["velocity"]
            + options.identity_weight * losses["identity"]
        )
        if options.phone_weight:
            losses["phones"] = self._phone_error(conditions.speech, batch)
            losses["loss"] = losses["loss"] + options.phone_weight * losses["phones"]
        return losses

    def _phone_error(self, speech: Tensor, batch: Batch) -> Tensor:
        """Computes the cross entropy of the phones, predicted two frames later: a feature does not depend on what
        follows. A sum over those that are known, per scored frame."""
        predicted = self.phones(speech[:, _PHONE_DELAY:]).float().unflatten(-1, (MEL_PER_MOTION, -1)).flatten(1, 2)
        target = batch["phones"][:, : predicted.shape[1]]
        known = target != UNHEARD
        error = F.cross_entropy(predicted.transpose(1, 2), target.clamp(min=0), reduction="none")
        total = MEL_PER_MOTION * scored_frames(batch).sum().clamp(min=1)
        mean: Tensor = (error * known).sum() / total
        return mean

    def conditions(self, batch: Batch) -> Conditions[Tensor]:
        """Builds the denoiser's conditions; what is hidden is zero."""
        model, shown = self._model[0], batch["shown"]
        features = batch["features"]
        if features.ndim == 2:
            with torch.no_grad():
                features = model.front.offline(features)
        upper = batch["upper"] * shown[:, 0, None, None, None]
        person = model.person(batch["lower_rest"], batch["upper_rest"]) * shown[:, 1, None]
        return Conditions(self.speech(features), upper, person, batch["history"], batch["known"], batch["valid"])

    def losses(self, x0: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Computes the losses of clean motion ``(B, T, K)`` as the denoiser predicts it; in full precision."""
        with full_precision(x0):
            return self._losses(x0.float(), batch)

    def _losses(self, x0: Tensor, batch: Batch) -> dict[str, Tensor]:
        scored = scored_frames(batch)
        total = scored.sum().clamp(min=1)
        error = x0 - batch["motion"]
        weighted = error * self.coefficient_weight
        pair = (scored[:, 1:] * scored[:, :-1])[..., None]
        velocity = (weighted[:, 1:] - weighted[:, :-1]).square() * pair
        return {
            "x0": (weighted.square().mean(-1) * scored).sum() / total,
            "aperture": ((error @ self.gap).square() * scored).sum() / total,
            "velocity": velocity.mean(-1).sum() / total,
            "identity": (self._identity_errors(x0, batch) * scored.sum(-1)).sum() / total,
        }

    def _identity_errors(self, x0: Tensor, batch: Batch) -> Tensor:
        """Computes |1 - z^ . z| of one frame of each row ``(B,)``."""
        model, rows = self._model[0], torch.arange(len(x0), device=x0.device)
        shape = batch["lower_rest"] + self.space.decode(x0[rows, batch["pick"]])
        with torch.no_grad():
            target = model.identity(batch["lower_rest"], batch["upper_rest"])
        generated = model.identity(shape, batch["upper_rest"])
        errors: Tensor = (1 - (generated * target).sum(-1)).abs()
        return errors

    def landmark_error(self, x0: Tensor, batch: Batch) -> Tensor:
        """Computes the mean distance of lower-face points, over frames that count; in units of the distance between
        the eyes."""
        scored = scored_frames(batch)
        with full_precision(x0):
            error = self.space.decode(x0.float() - batch["motion"])[..., :2].norm(dim=-1).mean(-1)
        mean: Tensor = (error * scored).sum() / scored.sum().clamp(min=1)
        return mean


def scored_frames(batch: Batch) -> Tensor:
    """Returns the frames that the model has to find ``(B, T)``, as 0 and 1."""
    scored: Tensor = (batch["valid"] & ~batch["known"]).float()
    return scored


class MotionTask(Task):
    """Trains a motion model whose identity extractor is trained and frozen, and whose space is fitted."""

    name = "motion"
    best = "landmarks"

    def __init__(self, preset: Preset, model: MotionModel, options: MotionOptions) -> None:
        self.preset, self.model, self.options = preset, model, options
        model.identity.requires_grad_(False)
        self.losses = MotionLosses(model, options)
        self.averaged = self.losses
        self.frozen = (model.identity, model.front)
        self.phases = (Phase("motion", self.losses),)

    def weight(self, batch: Batch) -> float:
        return float(scored_frames(batch).sum())

    def validate(self, batch: Batch) -> Mapping[str, Tensor]:
        x0 = self.losses.denoiser(batch["noise"], batch["t"], self.losses.conditions(batch))
        return {**self.losses.losses(x0, batch), "landmarks": self.losses.landmark_error(x0, batch)}

    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        """Draws true lips above, generated ones below, at moments of one window: trained on, and held out."""
        windows = {"trained on": self.examples, "held out": self.held_out}
        return {f"lips/{name}": self._strips(examples) for name, examples in windows.items() if examples}

    def _strips(self, examples: Examples) -> NDArray[np.uint8]:
        batch = to_device(examples.collate([examples.draw(0, 0)]), self.losses.space.basis.device)
        batch["known"] = torch.zeros_like(batch["known"])
        t = torch.full_like(batch["t"], TIMESTEPS)
        generated = self.losses.denoiser(batch["noise"], t, self.losses.conditions(batch)).float().detach()
        moments = np.linspace(0, batch["motion"].shape[1] - 1, _PICTURE_FRAMES).astype(int)
        strips = []
        for motion in (batch["motion"], generated):
            shapes = batch["lower_rest"][0] + self.losses.space.decode(motion[0])
            strips.append(np.concatenate([draw_lips(shapes[i].cpu().numpy()) for i in moments], axis=1))
        return np.concatenate(strips)

    def export(self, folder: Path) -> None:
        save_preset(folder, self.preset)
        if isinstance(self.model.front, Wav2Vec2):
            save_speech_model(folder, self.model.front.source, self.model.front.sha256)
        save_tensors(folder, "identity", self.model.identity.state_dict())
        weights = self.losses.state_dict()
        save_tensors(folder, "motion", {name: weights[name] for name in weights if not name.startswith(PHONES)})


@dataclass(frozen=True, slots=True)
class MotionSources:
    """Says where a motion run's material lies."""

    data: Sequence[Path]
    identity: Path  # an identity run, or a checkpoint folder with identity weights
    tts: Path | None = None
    speech_model: str | None = None
    offsets: Path | None = None  # of mytalk train offsets
    start: Path | None = None  # weights to begin from: a motion run of the same sizes, or a checkpoint folder


def motion_task(preset: Preset, options: MotionOptions, sources: MotionSources, run: Path) -> MotionTask:
    """Makes the task of a run. A run that goes on keeps the motion space and the speech model that it began with.

    Raises DataError where there is nothing usable, WeightsError where the identity weights or those to start from are
    of another preset or the speech model is another one.
    """
    torch.manual_seed(options.seed)
    store = ClipStore(list(sources.data), hold_out=options.hold_out, cache_bytes=0)
    newest = Checkpoints(run / "checkpoints", options.keep_best).newest()
    trained_with = read_speech_model(run / WEIGHTS) if (run / WEIGHTS / CONFIG).exists() else None
    model = MotionModel(preset, load_front(preset.speech, sources.speech_model, trained_with))
    load_into(model.identity, weights_of(sources.identity), "identity")
    people = sample_people(store, options.seed) if sources.tts or newest is None else []
    model.space = (
        _space_of(newest, preset.motion.coefficients) if newest else fit_space(people, model.space.scale.numel())
    )
    if newest is None and sources.start is not None:
        parts = nn.ModuleDict({"speech": model.speech, "space": model.space, "denoiser": model.denoiser})
        load_into(parts, weights_of(sources.start), "motion")
    task = MotionTask(preset, model, options)
    front = model.front if is_built_in(preset.speech) else None
    steps = total_steps(options, len(store))
    offsets = read_offsets(sources.offsets) if sources.offsets else {}
    examples = MotionExamples(options, store, model.space, front=front, steps=steps, offsets=offsets)
    if sources.tts is not None:
        examples.add_speech(sources.tts, people, model.space)
    task.examples = examples
    if options.hold_out:
        kept = ClipStore(list(sources.data), hold_out=options.hold_out, held_out=True, cache_bytes=0)
        task.held_out = HeldOutWindows(options, kept, model.space, front=front)
    return task


def weights_of(folder: Path) -> Path:
    """Finds the exported weights of a run, or the checkpoint folder itself. Raises OptionError where it is neither."""
    for one in (folder / WEIGHTS, folder):
        if (one / "config.json").exists():
            return one
    raise OptionError(f"{folder}: neither a run with weights nor a checkpoint folder (no config.json in it)")


def draw_lips(lower: NDArray[np.float32], side: int = 96) -> NDArray[np.uint8]:
    """Draws a lower face ``(169, 3)`` as a picture ``(side, side, 3)``, lips thicker than the rest."""
    picture = np.full((side, side, 3), 255, np.uint8)
    spots = np.rint((lower[:, :2] - (-0.9, 0.4)) * side / 1.8).astype(int)
    for number, (x, y) in enumerate(spots.tolist()):
        cv2.circle(
            picture, (x, y), 1 if number < len(LIPS) else 0, (200, 30, 60) if number < len(LIPS) else (90,) * 3, -1
        )
    return picture


def _space_of(checkpoint: Path, coefficients: int) -> MotionSpaceModule:
    space = MotionSpaceModule(coefficients)
    stored = read_tensors(checkpoint, "motion")
    space.load_state_dict({name: stored[f"space.{name}"] for name in space.state_dict()})
    return space
