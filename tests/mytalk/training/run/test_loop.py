"""The training loop: one curve however it is cut into processes, passes and restarts; no error without its cause."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mytalk.errors import DataError, MyTalkError, OptionError, OutputFullError, TrainingError, WeightsError
from mytalk.torch_checkpoint import read_tensors
from mytalk.training.run.checkpoints import Checkpoints
from mytalk.training.run.config import TrainingOptions
from mytalk.training.run.logbook import read_curve
from mytalk.training.run.loop import fit
from mytalk.training.run.task import Batch, Phase
from tests.mytalk.support import fake_task
from tests.mytalk.support.fake_task import LineFit, LineTask, Points
from tests.support.limits import LIMIT_S

OPTIONS = TrainingOptions(
    steps=20, batch=8, learning_rate=0.05, log_every=1, save_every=5, validate_every=5, ema=0.9, keep_best=1
)
PROGRAM = Path(fake_task.__file__)
ROOT = Path(__file__).parents[4]


def losses(run: Path) -> list[float]:
    return [line["loss"] for line in read_curve(run) if "loss" in line]


def start(*command: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen([*map(str, command)], env=environment, stderr=subprocess.PIPE, text=True)


def test_a_line_is_learned_and_the_average_of_its_weights_exported(tmp_path: Path) -> None:
    outcome = fit(LineTask(), replace(OPTIONS, steps=150), tmp_path, device="cpu")
    assert outcome.finished
    assert outcome.steps == 150
    assert losses(tmp_path)[-1] < 0.1 * losses(tmp_path)[0]
    weights = read_tensors(tmp_path / "weights", "line")
    assert float(weights["slope"]) == pytest.approx(2, abs=0.2)


def test_passes_do_not_change_the_curve(tmp_path: Path) -> None:
    fit(LineTask(), OPTIONS, tmp_path / "one", device="cpu")
    fit(LineTask(), replace(OPTIONS, accumulate=4), tmp_path / "four", device="cpu")
    torch.testing.assert_close(losses(tmp_path / "four"), losses(tmp_path / "one"), rtol=1e-5, atol=1e-6)


def test_two_processes_train_as_one_with_twice_the_batch(tmp_path: Path) -> None:
    fit(LineTask(), OPTIONS, tmp_path / "one", device="cpu")
    options = json.dumps({"steps": 20, "ema": 0.9})
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", 2)
    with start(*torchrun, PROGRAM, tmp_path / "two", options) as program:
        _, said = program.communicate(timeout=2 * LIMIT_S)
    assert program.returncode == 0, said
    assert not said
    torch.testing.assert_close(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-5, atol=1e-6)


def test_a_killed_run_goes_on_to_the_bit(tmp_path: Path) -> None:
    options = json.dumps({"steps": 300_000, "save_every": 5, "validate_every": 1000, "ema": 0.9})
    with start(sys.executable, PROGRAM, tmp_path / "killed", options) as program:
        until = time.monotonic() + 2 * LIMIT_S
        while not Checkpoints(tmp_path / "killed" / "checkpoints", 0).all() and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.1)  # steps after the checkpoint, which are lost
        program.send_signal(signal.SIGKILL)
    newest = Checkpoints(tmp_path / "killed" / "checkpoints", 0).newest()
    assert newest is not None
    steps = int(newest.name[5:]) + 7
    options_left = replace(OPTIONS, steps=steps, validate_every=1000)
    fit(LineTask(), options_left, tmp_path / "killed", device="cpu")
    fit(LineTask(), options_left, tmp_path / "whole", device="cpu")
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    ends = [read_tensors(tmp_path / name / "weights", "line") for name in ("killed", "whole")]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_a_run_cut_between_two_lines_of_its_curve_writes_the_same_lines(tmp_path: Path) -> None:
    rare = replace(OPTIONS, log_every=8, validate_every=0)
    fit(LineTask(), replace(rare, steps=16), tmp_path / "whole", device="cpu")

    class Stopping(LineTask):
        def after_step(self, step: int, _: Any) -> None:
            if step == 9:
                os.kill(os.getpid(), signal.SIGTERM)

    outcome = fit(Stopping(), replace(rare, steps=16), tmp_path / "cut", device="cpu")
    assert not outcome.finished
    assert outcome.steps == 10 or outcome.steps == 11
    fit(LineTask(), replace(rare, steps=16), tmp_path / "cut", device="cpu")
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")


def test_worker_processes_make_the_same_batches(tmp_path: Path) -> None:
    fit(LineTask(), replace(OPTIONS, steps=6), tmp_path / "none", device="cpu")
    fit(LineTask(), replace(OPTIONS, steps=6, workers=2), tmp_path / "two", device="cpu")
    assert losses(tmp_path / "two") == losses(tmp_path / "none")


def test_the_newest_and_the_best_checkpoints_stay(tmp_path: Path) -> None:
    fit(LineTask(), replace(OPTIONS, steps=150, keep_best=2), tmp_path, device="cpu")
    kept = Checkpoints(tmp_path / "checkpoints", 2)
    assert 2 <= len(kept.all()) <= 3
    assert kept.newest() == tmp_path / "checkpoints" / "step-00000150"
    scores = {line["step"]: line["held_out/loss"] for line in read_curve(tmp_path) if "held_out/loss" in line}
    best = kept.best()
    assert best is not None
    assert int(best.name[5:]) == min(scores, key=lambda step: scores[step])


def test_curves_and_pictures_are_there_for_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(LineTask(), replace(OPTIONS, steps=10, pictures_every=5), tmp_path, device="cpu")
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [point.step for point in board.Scalars("loss")] == list(range(1, 11))
    assert [point.step for point in board.Images("line")] == [5, 10]


def test_a_loss_that_is_not_finite_stops_with_step_and_clip(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"step 12: loss loss is not finite, on clip2; .*step-00000010"):
        fit(LineTask(poison=12), OPTIONS, tmp_path, device="cpu")
    newest = Checkpoints(tmp_path / "checkpoints", 1).newest()
    assert newest is not None
    assert newest.name == "step-00000010"
    assert torch.isfinite(read_tensors(newest, "line")["slope"]).all()


def test_a_gradient_that_is_not_finite_stops_before_it_does_harm(tmp_path: Path) -> None:
    class Steep(LineFit):
        def forward(self, batch: Batch) -> dict[str, Tensor]:
            return {"loss": self.slope.abs().sqrt().sum() + self.offset.square().sum()}

    task = LineTask()
    task.averaged = Steep()
    task.phases = (Phase("line", task.averaged),)
    with pytest.raises(TrainingError, match="step 0: the gradient of line is not finite; no checkpoint"):
        fit(task, OPTIONS, tmp_path, device="cpu")
    assert torch.isfinite(task.averaged.slope).all()


def test_out_of_memory_says_which_batch_fits(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="out of memory with 8 rows a process and pass; 2 fit: batch 8 with"):
        fit(LineTask(most=3), OPTIONS, tmp_path, device="cpu")
    fit(LineTask(most=3), replace(OPTIONS, steps=2, accumulate=4), tmp_path, device="cpu")


class TwoPhases(LineTask):
    """A second network that learns what the first one says."""

    def __init__(self, most: int | None = None, start: int = 0) -> None:
        super().__init__()
        self.second = Follower(self.averaged, most)
        self.phases = (*self.phases, Phase("second", self.second, learning_rate=0.01, start=start))


class Follower(LineFit):
    """A task whose loss depends on the other phase's network, which must not be trained by it."""

    def __init__(self, leader: LineFit, most: int | None) -> None:
        super().__init__(most)
        self.leader = [leader]

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        led = self.leader[0].slope * batch["x"] + self.leader[0].offset
        return {"loss": super().forward({**batch, "y": led})["loss"], "follower": self.slope.detach().sum()}


def test_phases_train_their_own_networks_only(tmp_path: Path) -> None:
    fit(LineTask(), OPTIONS, tmp_path / "alone", device="cpu")
    task = TwoPhases(start=10)
    fit(task, OPTIONS, tmp_path / "both", device="cpu")
    assert losses(tmp_path / "both") == losses(tmp_path / "alone")
    assert [line["step"] for line in read_curve(tmp_path / "both") if "follower" in line] == list(range(11, 21))
    assert task.second.slope.item() == pytest.approx(0.1, abs=0.02)  # Adam: ten steps of 0.01


def test_out_of_memory_in_a_later_phase_says_which_batch_fits(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="out of memory with 8 rows a process and pass; 2 fit"):
        fit(TwoPhases(most=3), OPTIONS, tmp_path, device="cpu")


def test_half_precision_learns_too(tmp_path: Path) -> None:
    fit(LineTask(), replace(OPTIONS, steps=150, precision="bf16"), tmp_path, device="cpu")
    assert losses(tmp_path)[-1] < 0.1 * losses(tmp_path)[0]
    with pytest.raises(OptionError, match=r"fp16.*needs a GPU"):
        fit(LineTask(), replace(OPTIONS, precision="fp16"), tmp_path / "fp16", device="cpu")


def test_a_killed_worker_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    class Killing(Points):
        def draw(self, step: int, row: int) -> dict[str, Any]:
            if step == 7:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().draw(step, row)

    task = LineTask()
    task.examples = Killing()
    with pytest.raises(TrainingError, match=r"step \d: a process that makes training examples was killed"):
        fit(task, replace(OPTIONS, workers=1), tmp_path, device="cpu")
    newest = Checkpoints(tmp_path / "checkpoints", 1).newest()
    assert newest is not None
    assert len(losses(tmp_path)) == int(newest.name[5:]) >= 4


def test_nothing_usable_is_an_error_before_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no usable example"):
        fit(LineTask(rows=0), OPTIONS, tmp_path, device="cpu")


def test_a_checkpoint_of_another_preset_is_refused_by_the_tensors_name(tmp_path: Path) -> None:
    fit(LineTask(), OPTIONS, tmp_path, device="cpu")
    other = LineTask()
    other.averaged.slope = torch.nn.Parameter(torch.zeros(3))  # type: ignore[assignment]
    with pytest.raises(WeightsError, match="tensor slope has shape"):
        fit(other, replace(OPTIONS, steps=30), tmp_path, device="cpu")


def test_a_full_disk_is_named_and_the_checkpoint_before_it_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(LineTask(), replace(OPTIONS, steps=5), tmp_path, device="cpu")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputFullError, match="no space left"):
        fit(LineTask(), OPTIONS, tmp_path, device="cpu")
    monkeypatch.undo()
    assert [path.name for path in Checkpoints(tmp_path / "checkpoints", 1).all()] == ["step-00000005"]
    assert fit(LineTask(), OPTIONS, tmp_path, device="cpu").finished


@pytest.mark.parametrize("package", ["accelerate", "torch.utils.tensorboard"])
def test_a_missing_extra_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MyTalkError, match=r"pip install 'mytalk-streamer\[train\]'"):
        fit(LineTask(), OPTIONS, tmp_path, device="cpu")


@pytest.mark.parametrize("options", [{"steps": 0}, {"steps": 2, "epochs": 1.0}, {"accumulate": 3}])
def test_options_that_make_no_sense_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="need"):
        fit(LineTask(), replace(OPTIONS, **options), tmp_path, device="cpu")
