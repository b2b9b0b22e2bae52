"""Distils few-step sampling: a trained motion model teaches a copy of itself to land in 1 to 4 steps where it lands
in many.

Multistep consistency distillation (Heek, Hoogeboom and Salimans 2024, arXiv 2403.06807, algorithm 1 with the teacher's
deterministic DDIM step); with one step it is consistency distillation (Song et al. 2023, arXiv 2303.01469, algorithm
2). The teacher's DDIM table is cut into as many segments as the student takes steps. From a noisy window at time t the
teacher takes one small step, to s; the student at s, a moving average of its weights, says where the segment ends; and
the student at t must end it there, too. Both predict x0, so that the end is reached by a DDIM step, whose inverse gives
the x0 to be predicted. The boundary condition needs no skip connection: the step into a segment's end is the teacher's
own, and at t = 0 that is its x0.

Regression on the data gives one step the mean of what a mouth might do, which moves less than a mouth. Here each noise
has one answer, the teacher's, so that a student that gets there moves as much as the teacher: as much, not more. It
pays where ``benchmarks/models/steps.py`` shows that the teacher's many steps are better than its few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mytalk.checkpoint import read_preset, read_speech_model
from mytalk.errors import OptionError
from mytalk.motion.conditions import Conditions
from mytalk.motion.model import Denoiser, MotionModel
from mytalk.motion.sampler import DDIM, TIMESTEPS, alpha_bars, ddim_step
from mytalk.presets import Preset
from mytalk.speech.factory import is_built_in, load_front
from mytalk.torch_checkpoint import load_into, read_tensors, save_tensors
from mytalk.training.data.store import ClipStore
from mytalk.training.motion.examples import HeldOutWindows, MotionExamples, MotionOptions
from mytalk.training.motion.task import MotionLosses, MotionTask, draw_lips, scored_frames, weights_of
from mytalk.training.run.loop import total_steps
from mytalk.training.run.task import Batch, Phase, take_rows, to_device

MOST_STEPS = 4
"""Most steps of a student: one of more is not worth its training, since the teacher itself takes eight."""

_PICTURE_FRAMES = 8
_PIXELS = "appearance"


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillOptions(MotionOptions):
    """Holds how a student is taught. Windows and losses are those of motion training; losses are taken to the
    teacher."""

    student_steps: int = 1
    teacher_steps: int = 50  # of the whole trajectory; rounded up to a multiple of student_steps
    target_decay: float = 0.95  # of the average of the student's weights that gives the targets
    data_weight: float = 0.0  # of the motion trainer's own loss, beside the teacher's
    at_noise: float = 0.25
    identity_weight: float = 0.0

    def __post_init__(self) -> None:
        MotionOptions.__post_init__(self)
        if not 1 <= self.student_steps <= MOST_STEPS:
            raise OptionError(f"student_steps = {self.student_steps}: need 1 to {MOST_STEPS}")
        if not 2 * self.student_steps <= self.teacher_steps <= 50:
            raise OptionError(f"teacher_steps = {self.teacher_steps}: need {2 * self.student_steps} to 50")
        if not 0 <= self.target_decay < 1:
            raise OptionError(f"target_decay = {self.target_decay}: need 0 up to less than 1")


class Trajectory:
    """Cuts the teacher's DDIM table into segments: points 0 (clean) to N (noise alone), a student step each so many."""

    def __init__(self, teacher_steps: int, student_steps: int) -> None:
        self.segment = -(-teacher_steps // student_steps)  # points in a segment
        self.points = self.segment * student_steps  # N
        self.timesteps = torch.round(torch.arange(self.points + 1) * (TIMESTEPS / self.points)).long()  # (N + 1,)
        self.alpha_bar = torch.from_numpy(alpha_bars())[self.timesteps]  # (N + 1,)

    def at(self, t: Tensor) -> Tensor:
        """Returns the first point ``(B,)``, 1 to N, that is not before timesteps ``(B,)``."""
        return torch.searchsorted(self.timesteps.to(t.device), t.contiguous()).clamp(1, self.points)

    def end(self, point: Tensor) -> Tensor:
        """Returns the point at which the student's step from ``point``, or from within its segment, ends."""
        return (point - 1) // self.segment * self.segment

    def step(self, x0: Tensor, x: Tensor, start: Tensor, stop: Tensor) -> Tensor:
        """Steps by DDIM from points ``start`` to ``stop`` ``(B,)`` of samples ``(B, T, K)``; where they are one,
        ``x`` stays."""
        a, a_next = self._alphas(x, start, stop)
        moved: Tensor = ddim_step(x0, x, a.clamp(max=1 - 1e-6), a_next)
        return torch.where((start == stop)[:, None, None], x, moved)

    def x0_of(self, end: Tensor, x: Tensor, start: Tensor, stop: Tensor) -> Tensor:
        """Returns the x0 with which ``step`` goes from ``x`` to ``end``: its inverse. ``start`` lies after ``stop``."""
        a, a_next = self._alphas(x, start, stop)
        share = ((1 - a_next) / (1 - a)).sqrt()
        return (end - share * x) / (a_next.sqrt() - a.sqrt() * share)

    def _alphas(self, x: Tensor, start: Tensor, stop: Tensor) -> tuple[Tensor, Tensor]:
        alpha_bar = self.alpha_bar.to(x.device)
        return alpha_bar[start][:, None, None], alpha_bar[stop][:, None, None]


class Distillation(nn.Module):
    """Holds student and target with their loss. The speech encoder is the teacher's and stays so."""

    def __init__(self, student: MotionLosses, teacher: Denoiser, options: DistillOptions) -> None:
        super().__init__()
        self.student = student
        student.speech.requires_grad_(False)
        self.target = deepcopy(student.denoiser).requires_grad_(False)
        self._teacher, self._options = [teacher], options
        self._trajectory = Trajectory(options.teacher_steps, options.student_steps)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        trajectory, student = self._trajectory, self.student
        with torch.no_grad():
            conditions = student.conditions(batch)
        point = trajectory.at(batch["t"])
        a = trajectory.alpha_bar.to(point.device)[point][:, None, None]
        x = a.sqrt() * batch["motion"] + (1 - a).sqrt() * batch["noise"]
        with torch.no_grad():
            wanted = self.wanted(x, point, conditions)
        x0 = student.denoiser(x, trajectory.timesteps.to(point.device)[point], conditions).float()
        losses = student.losses(x0, {**batch, "motion": wanted})
        loss = self._weighed(losses)
        if self._options.data_weight:
            loss = loss + self._options.data_weight * self._weighed(student.losses(x0, batch))
        return {"loss": loss, **losses}

    def wanted(self, x: Tensor, point: Tensor, conditions: Conditions[Tensor]) -> Tensor:
        """Returns the x0 ``(B, T, K)`` that takes noisy windows at ``point`` where teacher and target go."""
        trajectory, before = self._trajectory, point - 1
        timesteps, end = trajectory.timesteps.to(point.device), trajectory.end(point)
        x0 = self._teacher[0](x, timesteps[point], conditions).float()
        near = trajectory.step(x0, x, point, before)
        estimate = self.target(near, timesteps[before], conditions).float()
        far = trajectory.step(estimate, near, before, end)
        wanted = trajectory.x0_of(far, x, point, end)
        return torch.where((before == end)[:, None, None], x0, wanted)

    def _weighed(self, losses: Mapping[str, Tensor]) -> Tensor:
        options = self._options
        return (
            options.x0_weight * losses["x0"]
            + options.aperture_weight * losses["aperture"]
            + options.velocity_weight * losses["velocity"]
            + options.identity_weight * losses["identity"]
        )

    @torch.no_grad()
    def follow(self) -> None:
        """Moves the target towards the student."""
        student_samples = [parameter.detach() for parameter in self.student.denoiser.parameters()]
        torch._foreach_lerp_(list(self.target.parameters()), student_samples, 1 - self._options.target_decay)


class DistillTask(MotionTask):
    """Teaches a copy of a motion model, frozen itself, to sample in few steps.

    Held-out windows are sampled by both from the same noise. ``to_teacher`` is the distance of lower-face points
    between the two, canonical; ``spread`` and ``teacher_spread`` are the standard deviations of their apertures.
    """

    name = "distill"
    best = "to_teacher"

    def __init__(self, preset: Preset, teacher: MotionModel, options: DistillOptions, pixels: Path | None) -> None:
        """``pixels`` is a checkpoint folder whose stage 2 is taken along, so that what is exported dubs by itself."""
        super().__init__(replace(preset, steps=options.student_steps), _student_of(preset, teacher), options)
        self.distillation = Distillation(self.losses, teacher.denoiser, options)
        self.phases = (Phase("distill", self.distillation),)
        self.frozen = (*self.frozen, teacher.denoiser)
        self._teacher, self._pixels = teacher.denoiser, pixels
        self._few, self._many = DDIM(options.student_steps), DDIM(options.teacher_steps)

    def after_step(self, step: int, losses: Mapping[str, float]) -> None:
        self.distillation.follow()

    def samples(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Samples motion ``(B, T, K)`` of student and teacher from the batch's noise."""
        conditions = self.losses.conditions(batch)
        student = sample(self.losses.denoiser, batch["noise"], conditions, self._few)
        return student, sample(self._teacher, batch["noise"], conditions, self._many)

    def validate(self, batch: Batch) -> Mapping[str, Tensor]:
        student, teacher = self.samples(batch)
        frames = scored_frames(batch)
        return {
            "to_teacher": self.losses.landmark_error(student, {**batch, "motion": teacher}),
            "landmarks": self.losses.landmark_error(student, batch),
            "teacher_landmarks": self.losses.landmark_error(teacher, batch),
            "spread": _spread(student @ self.losses.gap, frames),
            "teacher_spread": _spread(teacher @ self.losses.gap, frames),
        }

    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        """Draws the teacher's lips above, the student's below, at moments of one window."""
        examples, space = self.held_out or self.examples, self.losses.space
        batch = take_rows(to_device(examples.collate([examples.draw(0, 0)]), space.basis.device), 0, 1)
        student, teacher = self.samples({**batch, "known": torch.zeros_like(batch["known"])})
        moments = np.linspace(0, student.shape[1] - 1, _PICTURE_FRAMES).astype(int)
        shapes = [(batch["lower_rest"][0] + space.decode(motion[0])).cpu().numpy() for motion in (teacher, student)]
        strips = [np.concatenate([draw_lips(shape[i]) for i in moments], axis=1) for shape in shapes]
        return {"lips (teacher above, student below)": np.concatenate(strips)}

    def export(self, folder: Path) -> None:
        super().export(folder)
        if self._pixels is not None and not (folder / f"{_PIXELS}.safetensors").exists():
            save_tensors(folder, _PIXELS, read_tensors(self._pixels, _PIXELS))


def distill_task(
    teacher: Path, options: DistillOptions, data: Sequence[Path], speech_model: str | None = None
) -> DistillTask:
    """Makes the task of a run. ``teacher`` is a motion run, a distilled one, or a checkpoint folder; its sizes are
    kept.

    Raises DataError where there is nothing usable, PresetError and WeightsError where the teacher cannot be loaded.
    """
    torch.manual_seed(options.seed)
    folder = weights_of(teacher)
    preset = read_preset(folder)
    preset = replace(preset, motion=replace(preset.motion, readout=0.0))  # which is fitted anew, not distilled
    model = MotionModel(preset, load_front(preset.speech, speech_model, read_speech_model(folder)))
    load_into(model.identity, folder, "identity")
    parts = {"speech": model.speech, "space": model.space, "denoiser": model.denoiser}
    load_into(nn.ModuleDict(parts), folder, "motion")
    pixels = folder if (folder / f"{_PIXELS}.safetensors").exists() else None
    task = DistillTask(preset, model, options, pixels)
    store = ClipStore(list(data), hold_out=options.hold_out, cache_bytes=0)
    front = model.front if is_built_in(preset.speech) else None
    steps = total_steps(options, len(store))
    task.examples = MotionExamples(options, store, model.space, front=front, steps=steps)
    if options.hold_out:
        kept = ClipStore(list(data), hold_out=options.hold_out, held_out=True, cache_bytes=0)
        task.held_out = HeldOutWindows(options, kept, model.space, front=front)
    return task


def sample(denoiser: Denoiser, noise: Tensor, conditions: Conditions[Tensor], sampler: DDIM) -> Tensor:
    """Samples motion ``(B, T, K)`` from noise of the same shape; with padding, and in the noise's precision."""
    x = noise
    for index, t in enumerate(sampler.timesteps):
        x = sampler.step(denoiser(x, torch.full((len(x),), t, device=x.device), conditions).float(), index, x)
    return x


def _student_of(preset: Preset, teacher: MotionModel) -> MotionModel:
    """Copies a model to be taught. It drops nothing out: what it learns is a function, with one answer."""
    speech, motion = replace(preset.speech, dropout=0.0), replace(preset.motion, dropout=0.0)
    student = MotionModel(replace(preset, speech=speech, motion=motion), teacher.front)
    student.load_state_dict(teacher.state_dict())
    return student


def _spread(gaps: Tensor, frames: Tensor) -> Tensor:
    """Computes the standard deviation over the frames ``(B, T)`` that count; mean of rows."""
    count = frames.sum(-1).clamp(min=1)
    mean = (gaps * frames).sum(-1) / count
    return (((gaps - mean[:, None]).square() * frames).sum(-1) / count).sqrt().mean()
