"""Runs each trainer from a config to a finished run: what ``mytalk train`` calls, and what a grid of runs may call."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mytalk.errors import OptionError, OutputError
from mytalk.torch_checkpoint import load_into
from mytalk.training.data.store import ClipStore
from mytalk.training.motion.distill import DistillOptions, distill_task
from mytalk.training.motion.examples import MotionOptions
from mytalk.training.motion.identity import IdentityOptions, IdentityTask
from mytalk.training.motion.task import MotionSources, motion_task, weights_of
from mytalk.training.run.checkpoints import Checkpoints
from mytalk.training.run.config import Config, TrainingOptions
from mytalk.training.run.loop import Outcome, fit

_OPTIONS = "options.json"
_MAY_CHANGE = {
    *("steps", "epochs", "accumulate", "workers"),  # how long a run lasts, and how its work is parted
    "batch",  # where memory runs out, the error names one that fits
    *("log_every", "validate_every", "validation_rows", "save_every", "keep_best", "pictures_every"),  # what is seen
}

Progress = Callable[[int, int | None], None]


def train_identity(
    config: Config,
    data: Sequence[Path],
    run: Path,
    *,
    device: str = "auto",
    progress: Progress | None = None,
    **given: Any,
) -> Outcome:
    """Trains the identity extractor. ``given`` are options that win over the config's, here and below; None leaves
    the config's."""
    options = config.options("identity", IdentityOptions, **given)
    task = IdentityTask(config.preset, options, data)
    _record(run, config, options, data=data)
    return fit(task, options, run, device=device, progress=progress)


def train_motion(
    config: Config,
    sources: MotionSources,
    run: Path,
    *,
    device: str = "auto",
    progress: Progress | None = None,
    **given: Any,
) -> Outcome:
    """Trains the motion model."""
    options = config.options("motion", MotionOptions, **given)
    task = motion_task(config.preset, options, sources, run)
    _record(run, config, options, **asdict(sources))
    return fit(task, options, run, device=device, progress=progress)


def train_appearance(
    config: Config,
    data: Sequence[Path],
    run: Path,
    *,
    start: Path | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    **given: Any,
) -> Outcome:
    """Trains the appearance model.

    ``start`` holds weights to begin from, a preset folder's or a run's; their sizes must be the config's.
    """
    from mytalk.training.appearance.options import AppearanceOptions
    from mytalk.training.appearance.task import AppearanceTask

    options = config.options("appearance", AppearanceOptions, **given)
    store = ClipStore(list(data), hold_out=options.hold_out)
    kept = ClipStore(list(data), hold_out=options.hold_out, held_out=True) if options.hold_out else None
    task = AppearanceTask(config.preset, options, store, kept)
    if start is not None:
        load_into(task.averaged, weights_of(start), "appearance")
    _record(run, config, options, data=data, start=start)
    return fit(task, options, run, device=device, progress=progress)


def train_distill(
    config: Config,
    data: Sequence[Path],
    teacher: Path,
    run: Path,
    *,
    speech_model: str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    **given: Any,
) -> Outcome:
    """Distils a motion model. The teacher's sizes count, not the config's."""
    options = config.options("distill", DistillOptions, **given)
    task = distill_task(teacher, options, data, speech_model)
    _record(run, config, options, data=data, teacher=teacher, speech_model=speech_model)
    return fit(task, options, run, device=device, progress=progress)


def _record(run: Path, config: Config, options: TrainingOptions, **sources: Any) -> None:
    """Writes ``config.toml`` as it was read, and ``options.json``: what the run really had, and its sources.

    Raises OptionError where a run that goes on was begun with other options.
    """
    record = json.dumps({"sources": sources, "options": asdict(options)}, indent=2, default=str)
    try:
        if Checkpoints(run / "checkpoints", options.keep_best).newest() is not None and (run / _OPTIONS).exists():
            _check_same(run, json.loads((run / _OPTIONS).read_text())["options"], json.loads(record)["options"])
        run.mkdir(parents=True, exist_ok=True)
        (run / "config.toml").write_text(config.text)
        (run / _OPTIONS).write_text(record + "\n")
    except OSError as error:
        raise OutputError(f"{run}: cannot be written ({error.strerror}); need a folder for the run") from error


def _check_same(run: Path, begun: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises OptionError for options that would make the rest of a run something else than its beginning."""
    changed = [
        f"{name} {begun.get(name)}, not {now.get(name)}"
        for name in sorted(begun.keys() | now.keys())
        if name not in _MAY_CHANGE and begun.get(name) != now.get(name)
    ]
    if changed:
        raise OptionError(f"{run} was begun with {'; '.join(changed)} (go on with those, or choose another folder)")
