"""A student lands in few steps where its teacher lands in many, moves as much, and dubs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import mytalk
from mytalk.appearance.model import AppearanceModel
from mytalk.errors import OptionError
from mytalk.face.landmarks import LOWER_COUNT, UPPER_COUNT
from mytalk.motion.conditions import Conditions
from mytalk.motion.model import MotionModel
from mytalk.motion.sampler import DDIM, alpha_bars
from mytalk.speech.mel_phones import MelPhones
from mytalk.torch_checkpoint import read_tensors, save_tensors
from mytalk.training.motion.distill import Distillation, DistillOptions, Trajectory, sample
from mytalk.training.motion.task import MotionLosses, MotionSources
from mytalk.training.run.config import read_config
from mytalk.training.run.logbook import read_curve
from mytalk.training.run.task import Batch
from mytalk.training.trainers import train_distill, train_identity, train_motion
from tests.mytalk.support.small_store import make_store

CONFIG = read_config("tiny")
FRAMES, COEFFICIENTS = 6, 4
EVEN = {"x0_weight": 1.0, "aperture_weight": 0.0, "velocity_weight": 0.0, "coefficient_weight": 0.0}


class TwoMouths(nn.Module):
    """The exact denoiser of motion whose every coefficient is 1 or -1, either as likely: noise decides.

    In one step it gives the mean, 0, where nothing moves.
    """

    def forward(self, noisy: Tensor, t: Tensor, given: Conditions) -> Tensor:
        a = torch.from_numpy(alpha_bars())[t][:, None, None]
        return (a.sqrt() * noisy / (1 - a).clamp(min=1e-6)).tanh()


class Pointwise(nn.Module):
    """A denoiser that can learn such motion: each coefficient for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 1))

    def forward(self, noisy: Tensor, t: Tensor, given: Conditions) -> Tensor:
        a = torch.from_numpy(alpha_bars())[t][:, None, None].expand_as(noisy)
        return self.net(torch.stack([noisy, a.sqrt(), (1 - a).sqrt()], dim=-1))[..., 0]  # type: ignore[no-any-return]


class FollowsTeacher(nn.Module):
    """The student that distillation is after: goes the teacher's whole way to its segment's end, point by point."""

    def __init__(self, trajectory: Trajectory, teacher: nn.Module) -> None:
        super().__init__()
        self.trajectory, self.teacher = trajectory, teacher

    def forward(self, noisy: Tensor, t: Tensor, given: Conditions) -> Tensor:
        trajectory, start = self.trajectory, self.trajectory.at(t)
        end, x, point = trajectory.end(start), noisy, start
        while bool((point > end).any()):
            x0, after = self.teacher(x, trajectory.timesteps[point], given), torch.maximum(point - 1, end)
            x, point = trajectory.step(x0, x, point, after), after
        return trajectory.x0_of(x, noisy, start, end)


def two_mouths(rows: int, seed: int) -> Batch:
    """Windows of such motion, without anything to hear or to know."""
    draw = torch.Generator().manual_seed(seed)
    shape = (rows, FRAMES, COEFFICIENTS)
    motion = torch.randint(0, 2, shape, generator=draw).float() * 2 - 1
    at_noise = torch.rand(rows, generator=draw) < 0.4
    return {
        "features": torch.zeros(rows, 4 * FRAMES, MelPhones.width),
        "motion": motion,
        "upper": torch.zeros(rows, FRAMES, UPPER_COUNT, 2),
        "known": torch.zeros(rows, FRAMES, dtype=torch.bool),
        "history": torch.zeros(shape),
        "lower_rest": torch.zeros(rows, LOWER_COUNT, 3),
        "upper_rest": torch.zeros(rows, UPPER_COUNT, 3),
        "valid": torch.ones(rows, FRAMES, dtype=torch.bool),
        "noise": torch.randn(shape, generator=draw),
        "t": torch.where(at_noise, 1000, torch.randint(1, 1001, (rows,), generator=draw)),
        "shown": torch.zeros(rows, 2),
        "pick": torch.zeros(rows, dtype=torch.long),
        "keys": ["made"] * rows,
    }


def distillation(options: DistillOptions) -> Distillation:
    torch.manual_seed(1)
    model = MotionModel(replace(CONFIG.preset, motion=replace(CONFIG.preset.motion, coefficients=COEFFICIENTS)))
    losses = MotionLosses(model, options)
    losses.denoiser = Pointwise()  # type: ignore[assignment]
    return Distillation(losses, TwoMouths(), options)  # type: ignore[arg-type]


def test_one_step_lands_where_the_teacher_does_in_eight_and_moves_as_much() -> None:
    module = distillation(CONFIG.options("distill", DistillOptions, **EVEN))
    adam = torch.optim.Adam(module.student.denoiser.parameters(), lr=1e-2)
    for step in range(300):
        adam.param_groups[0]["lr"] = 1e-2 * (1 - step / 300)
        adam.zero_grad()
        module(two_mouths(32, step))["loss"].backward()
        adam.step()
        module.follow()
    with torch.no_grad():
        batch = two_mouths(32, 1000)
        given = module.student.conditions(batch)
        wanted, unaided = (sample(TwoMouths(), batch["noise"], given, DDIM(steps)) for steps in (8, 1))
        taught = sample(module.student.denoiser, batch["noise"], given, DDIM(1))
    assert unaided.std() < 0.01 * wanted.std()  # what one step does untaught: the mean
    assert taught.std() > 0.8 * wanted.std()
    assert (taught - wanted).square().mean() < 0.4 * (unaided - wanted).square().mean()


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_student_that_is_there_has_nothing_more_to_learn(steps: int) -> None:
    module = distillation(CONFIG.options("distill", DistillOptions, student_steps=steps, teacher_steps=12, **EVEN))
    trajectory = Trajectory(12, steps)
    there = FollowsTeacher(trajectory, TwoMouths())
    module.target = there  # type: ignore[assignment]
    batch = two_mouths(64, 5)
    given, point = module.student.conditions(batch), trajectory.at(batch["t"])
    a = trajectory.alpha_bar[point][:, None, None]
    x = a.sqrt() * batch["motion"] + (1 - a).sqrt() * batch["noise"]
    wanted = module.wanted(x, point, given)
    torch.testing.assert_close(wanted, there(x, trajectory.timesteps[point], given), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(
        sample(there, batch["noise"], given, DDIM(steps)),  # type: ignore[arg-type]
        sample(TwoMouths(), batch["noise"], given, DDIM(12)),  # type: ignore[arg-type]
        rtol=1e-3,
        atol=1e-3,
    )


def test_the_data_counts_by_its_weight() -> None:
    losses = []
    for weight in (0.0, 2.0):
        module = distillation(CONFIG.options("distill", DistillOptions, data_weight=weight, **EVEN))
        nn.init.zeros_(module.student.denoiser.net[-1].weight)  # type: ignore[union-attr,index,arg-type]
        nn.init.zeros_(module.student.denoiser.net[-1].bias)  # type: ignore[union-attr,index,arg-type]
        losses.append(module(two_mouths(8, 3))["loss"].item())
    assert losses[1] - losses[0] == pytest.approx(2.0)  # every coefficient is off by 1


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_the_student_is_taught_at_the_times_it_samples_at(steps: int) -> None:
    trajectory = Trajectory(50, steps)
    borders = trajectory.timesteps[:: trajectory.segment]
    assert borders[1:].tolist() == DDIM(steps).timesteps[::-1]
    assert trajectory.at(trajectory.timesteps[1:]).tolist() == list(range(1, trajectory.points + 1))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, and a motion run with a little of everything that a preset folder holds."""
    folder = tmp_path_factory.mktemp("distill")
    data = make_store(folder / "data")
    train_identity(CONFIG, [data], folder / "identity", device="cpu", steps=2, batch=4)
    train_motion(CONFIG, MotionSources([data], folder / "identity"), folder / "motion", device="cpu", steps=3, batch=2)
    weights = AppearanceModel(CONFIG.preset.appearance).state_dict()
    save_tensors(folder / "motion" / "weights", "appearance", weights)
    return folder


def distil(runs: Path, run: Path, **given: object) -> list[float]:
    """A short run; its losses."""
    few = {"batch": 2, "frames": 20, "hop": (20, 20), "log_every": 1, "cool_down": 0.0, **given}
    train_distill(CONFIG, [runs / "data"], runs / "motion", run, device="cpu", **few)
    return [line["loss"] for line in read_curve(run) if "loss" in line]


def test_a_student_dubs_as_a_preset_of_few_steps(runs: Path, tmp_path: Path) -> None:
    distil(runs, tmp_path, steps=2, student_steps=2, hold_out=("person2",), validation_rows=2, validate_every=2)
    pipeline = mytalk.load(tmp_path / "weights", device="cpu")
    assert pipeline.steps == 2
    assert pipeline.preset.motion == CONFIG.preset.motion
    last = read_curve(tmp_path)[-1]
    assert last["held_out/to_teacher"] > 0
    taught, teacher = (read_tensors(folder / "weights", "motion") for folder in (tmp_path, runs / "motion"))
    changed = {name.split(".")[0] for name, tensor in taught.items() if not torch.equal(tensor, teacher[name])}
    assert changed == {"denoiser"}


def test_a_run_that_goes_on_keeps_its_target(runs: Path, tmp_path: Path) -> None:
    whole = distil(runs, tmp_path / "one", steps=4)
    distil(runs, tmp_path / "two", steps=2)
    assert distil(runs, tmp_path / "two", steps=4) == whole


def test_a_teacher_that_is_none_is_named(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="neither a run"):
        train_distill(CONFIG, [runs / "data"], tmp_path, tmp_path / "run", device="cpu", steps=1)


@pytest.mark.parametrize("given", [{"student_steps": 5}, {"teacher_steps": 1}, {"target_decay": 1.0}])
def test_students_that_cannot_be_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="need"):
        CONFIG.options("distill", DistillOptions, **given)
