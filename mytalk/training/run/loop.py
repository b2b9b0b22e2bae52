"""Runs any ``Task``: on one CPU thread, a GPU, or many through ``torchrun`` / ``accelerate launch``.

    fit(task, options, Path("runs/motion"))

It goes on from the run's newest checkpoint where there is one, to the bit on a CPU. Dropout alone depends on how many
processes share a batch; everything else of a step does not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mytalk.errors import OptionError, TrainingError
from mytalk.training.run.atomic_write import output_errors
from mytalk.training.run.batches import Share, batches, share_of
from mytalk.training.run.checkpoints import Checkpoints, RunState, load_networks, read_run
from mytalk.training.run.config import TrainingOptions
from mytalk.training.run.logbook import Logbook
from mytalk.training.run.memory import largest_fit, out_of_memory
from mytalk.training.run.processes import Processes
from mytalk.training.run.schedule import learning_rate
from mytalk.training.run.signals import StopRequest
from mytalk.training.run.task import Batch, Phase, Task, take_rows, to_device
from mytalk.training.run.weight_average import WeightAverage

WEIGHTS = "weights"
"""Folder of a run that holds the exported weights."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Says how a run ended. ``finished`` is False where it was asked to stop before its last step."""

    steps: int
    finished: bool
    figures: dict[str, float]  # the last line of the curve


def total_steps(options: TrainingOptions, rows: int) -> int:
    """Computes the steps of a run over ``rows`` examples an epoch. Raises OptionError unless steps or epochs are
    given, not both."""
    if (options.steps > 0) == (options.epochs > 0):
        raise OptionError(f"steps {options.steps}, epochs {options.epochs:g}: need exactly one of them above 0")
    return options.steps or max(1, round(options.epochs * rows / options.batch))


def fit(
    task: Task,
    options: TrainingOptions,
    run: Path,
    *,
    device: str = "auto",
    progress: Callable[[int, int | None], None] | None = None,
) -> Outcome:
    """Trains until the last step, or until SIGTERM or Ctrl-C, after which the same call goes on.

    Raises TrainingError where the loss is not finite, memory runs out or a worker is killed; OptionError, DataError
    and WeightsError before anything is changed.
    """
    with Processes(device, options.precision) as processes, StopRequest() as stop:
        loop = _Loop(task, options, run, processes)
        try:
            return loop.run(stop, progress or (lambda done, total: None))
        finally:
            loop.close()


class _Loop:
    def __init__(self, task: Task, options: TrainingOptions, run: Path, processes: Processes) -> None:
        self._task, self._options, self._processes = task, options, processes
        self._share = share_of(options, processes.index, processes.count)
        self._steps = total_steps(options, len(task.examples))
        for network in task.frozen:
            network.to(processes.device).eval().requires_grad_(False)
        self._phases = [_Trained(phase, options, processes) for phase in task.phases]
        self._average = WeightAverage(task.averaged, options.ema)
        self._weights_folder = run / WEIGHTS
        self._checkpoints = Checkpoints(run / "checkpoints", options.keep_best)
        self._state = self._resume()
        self._saved = self._state.step
        self._logbook = Logbook(run, self._state.step) if processes.first else None
        self._since = time.monotonic()
        self._last: dict[str, float] = {}

    def close(self) -> None:
        if self._logbook is not None:
            self._logbook.close()

    def run(self, stop: StopRequest, progress: Callable[[int, int | None], None]) -> Outcome:
        options = self._options
        rows = self._batches(range(self._state.step, self._steps))
        while self._state.step < self._steps:
            step = self._state.step
            parts = self._next(rows, step)
            _seed_dropout(options.seed, step, self._processes.index)
            losses, stop_requested = self._step(step, parts, stop)
            self._average.update(step + 1)
            self._task.after_step(step, losses)
            self._note(losses)
            progress(step + 1, self._steps)
            if _due(step + 1, options.validate_every, self._steps):
                self._validate()
            if _due(step + 1, options.save_every, self._steps):
                self._save()
            if stop_requested:
                break
        if self._saved != self._state.step or not self._weights_folder.exists():
            self._save()
        return Outcome(self._state.step, self._state.step >= self._steps, self._last)

    def _next(self, rows: Iterator[Batch], step: int) -> list[Batch]:
        """Makes the passes of a step. A worker that died costs no work: the state so far is saved first."""
        try:
            return [{**to_device(next(rows), self._processes.device), "step": step} for _ in range(self._share.passes)]
        except TrainingError as error:
            if self._saved != step:
                self._save()
            raise TrainingError(f"step {step}: {error}; the same command goes on from step {step}") from error

    def _step(self, step: int, parts: list[Batch], stop: StopRequest) -> tuple[dict[str, float], bool]:
        """Runs all phases on one batch. Losses are means over the whole batch; True where any process was asked to
        stop."""
        total = self._processes.sum([sum(self._task.weight(part) for part in parts), float(stop.requested)])
        losses: dict[str, float] = {}
        for trained in self._phases:
            if step < trained.phase.start:
                continue
            self._freeze_all_but(trained)
            try:
                found = trained.backward(parts, [self._task.weight(part) / max(total[0], 1e-9) for part in parts])
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                raise self._too_large(parts, error) from error
            self._check(step, trained, parts, found)
            if not trained.update(learning_rate(self._options, step, self._steps)):
                raise TrainingError(f"step {step}: the gradient of {trained.phase.name} is not finite; {self._kept()}")
            losses = {**found, **losses}  # "loss" is the first phase's
        return losses, total[1] > 0

    def _freeze_all_but(self, trained: _Trained) -> None:
        if len(self._phases) > 1:
            for other in self._phases:
                for parameter in other.parameters:
                    parameter.requires_grad_(other is trained)

    def _check(self, step: int, trained: _Trained, parts: list[Batch], losses: dict[str, float]) -> None:
        """Raises TrainingError, saying which clips are to blame, where a loss is not finite."""
        bad = [name for name, value in losses.items() if not np.isfinite(value)]
        if bad:
            clips = self._processes.gather(_culprits(trained.phase.module, parts))
            raise TrainingError(f"step {step}: loss {bad[0]} is not finite, on {_few(clips)}; {self._kept()}")

    def _kept(self) -> str:
        newest = self._checkpoints.newest()
        return f"the last good checkpoint is {newest}" if newest else "no checkpoint had been saved yet"

    def _too_large(self, parts: list[Batch], error: RuntimeError) -> TrainingError:
        """Returns an error that says what would fit, found by trying half the rows again and again."""
        rows = self._share.rows
        for trained in self._phases:
            trained.optimiser.zero_grad(set_to_none=True)
            for parameter in trained.parameters:
                parameter.requires_grad_(True)
        fits = largest_fit([phase.phase.module for phase in self._phases], parts[0], self._processes.autocast)
        if not fits:
            return TrainingError(f"out of memory, even with one row at a time ({_few([str(error)])}): smaller sizes")
        passes = self._options.accumulate * -(-rows // fits)
        return TrainingError(
            f"out of memory with {rows} rows a process and pass; {fits} fit: batch {self._options.batch} with "
            f"accumulate {passes}, or batch {fits * self._processes.count * self._options.accumulate}"
        )

    def _note(self, losses: dict[str, float]) -> None:
        """Adds a step to the curve; a line of means now and then."""
        options, state = self._options, self._state
        step, counted = state.step + 1, state.counted + 1
        sums = {name: state.sums.get(name, 0.0) + value for name, value in losses.items()}
        if _due(step, options.log_every, self._steps):
            now = time.monotonic()
            self._last = {name: value / counted for name, value in sums.items()}
            rate = learning_rate(options, step - 1, self._steps)
            speed = {"rows_per_second": round(options.batch * counted / max(now - self._since, 1e-9), 2)}
            if self._logbook is not None:
                self._logbook.write(step, {**self._last, "learning_rate": rate, **speed})
            sums, counted, self._since = {}, 0, now
        self._state = RunState(step, None, sums, counted)

    def _validate(self) -> None:
        """Computes figures and pictures of the averaged weights; the score that ranks the next checkpoint."""
        step, task = self._state.step, self._task
        with self._average.in_place(), torch.no_grad(), self._processes.autocast():
            figures = self._held_out_figures()
            wanted = self._options.pictures_every and _due(step, self._options.pictures_every, self._steps)
            pictures = task.pictures() if wanted and self._processes.first else {}
        if self._logbook is not None:
            if figures:
                self._logbook.write(step, {f"held_out/{name}": value for name, value in figures.items()})
            self._logbook.show(step, pictures)
        score = figures.get(task.best)
        self._state = RunState(step, score, self._state.sums, self._state.counted)

    def _held_out_figures(self) -> dict[str, float]:
        task, rows = self._task, self._options.validation_rows
        if task.held_out is None or not len(task.held_out) or not rows:
            return {}
        per = self._share.rows
        count = max(1, rows // (per * self._processes.count))
        share = Share(count * per * self._processes.count, count, self._processes.index, self._processes.count)
        sums: dict[str, float] = {"weight": 0.0}
        for made in batches(task.held_out, share, range(1), 0):
            batch = {**to_device(made, self._processes.device), "step": self._state.step}
            weight = task.weight(batch)
            sums["weight"] += weight
            for name, value in task.validate(batch).items():
                sums[name] = sums.get(name, 0.0) + float(value) * weight
        summed = dict(zip(sums, self._processes.sum(list(sums.values())), strict=True))
        weight = max(summed.pop("weight"), 1e-9)
        return {name: value / weight for name, value in summed.items()}

    def _batches(self, steps: range) -> Iterator[Batch]:
        return batches(self._task.examples, self._share, steps, self._options.workers)

    def _resume(self) -> RunState:
        newest = self._checkpoints.newest()
        if newest is None:
            return RunState(0)
        rest = load_networks(newest, self._networks(), self._average.weights)
        for trained in self._phases:
            trained.optimiser.load_state_dict(rest["optimisers"][trained.phase.name])
        if self._processes.scaler is not None and rest["scaler"]:
            self._processes.scaler.load_state_dict(rest["scaler"])
        return read_run(newest)

    def _networks(self) -> dict[str, nn.Module]:
        return {trained.phase.name: trained.phase.module for trained in self._phases}

    def _save(self) -> None:
        """Saves a checkpoint, and the averaged weights as ``mytalk`` loads them. The first process writes for all."""
        if self._processes.first:
            scaler = self._processes.scaler
            rest = {
                "optimisers": {trained.phase.name: trained.optimiser.state_dict() for trained in self._phases},
                "scaler": scaler.state_dict() if scaler is not None else {},
            }
            self._checkpoints.save(self._state, self._networks(), self._average.weights, rest)
            with self._average.in_place(), output_errors(self._weights_folder):
                self._task.export(self._weights_folder)
        self._processes.wait()
        self._saved = self._state.step


class _Trained:
    """Holds one phase with its optimiser, as the processes share it."""

    def __init__(self, phase: Phase, options: TrainingOptions, processes: Processes) -> None:
        self.phase = phase
        phase.module.to(processes.device).train()
        self.parameters = [parameter for parameter in phase.module.parameters() if parameter.requires_grad]
        self._options, self._processes = options, processes
        adam = torch.optim.AdamW(
            self.parameters,
            lr=options.learning_rate,
            betas=phase.betas or options.betas,
            weight_decay=options.weight_decay,
        )
        self._shared, self.optimiser = processes.prepare(phase.module, adam)

    def backward(self, parts: list[Batch], weights: list[float]) -> dict[str, float]:
        """Computes gradients of the whole batch. Returns its losses, the same in every process."""
        self.optimiser.zero_grad()
        sums: dict[str, Tensor] = {}
        for number, (part, weight) in enumerate(zip(parts, weights, strict=True)):
            last = number == len(parts) - 1
            with nullcontext() if last else self._processes.alone(self._shared):
                losses: dict[str, Tensor] = self._shared(part)
                self._processes.backward(losses["loss"] * (weight * self._processes.count))
            for name, value in losses.items():
                sums[name] = sums.get(name, torch.zeros((), device=value.device)) + value.detach().float() * weight
        values: list[float] = torch.stack(list(sums.values())).tolist()
        return dict(zip(sums, self._processes.sum(values), strict=True))

    def update(self, rate: float) -> bool:
        """Takes one step of the optimiser; False, and nothing changed, where the gradient is not finite."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.phase.learning_rate or rate
        if self._options.clip > 0 and self.phase.clip:
            norm = self._processes.clip(self.parameters, self._options.clip)
            if self._processes.scaler is None and not bool(torch.isfinite(norm)):
                return False
        self.optimiser.step()
        return True


def _due(step: int, every: int, last: int) -> bool:
    return step == last or (every > 0 and step % every == 0)


def _seed_dropout(seed: int, step: int, process: int) -> None:
    torch.manual_seed(int(np.random.SeedSequence([seed, step, process]).generate_state(1, np.uint64)[0]))


@torch.no_grad()
def _culprits(module: nn.Module, parts: list[Batch]) -> list[str]:
    """Lists keys of the rows whose own loss is not finite; all keys where it takes several."""
    keys = [key for part in parts for key in part["keys"]]
    bad = []
    for part in parts:
        for row, key in enumerate(part["keys"]):
            losses: dict[str, Any] = module(take_rows(part, row, row + 1))
            if not all(bool(torch.isfinite(value).all()) for value in losses.values()):
                bad.append(key)
    return bad or keys


def _few(names: list[str]) -> str:
    shown = list(dict.fromkeys(name.splitlines()[0] if name else "?" for name in names))
    return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")
