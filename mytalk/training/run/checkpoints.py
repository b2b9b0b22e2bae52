"""Keeps a run's checkpoints: everything needed to go on exactly, the newest and the best few.

``RUN/checkpoints/step-00001000/`` holds one safetensors part a phase and one of the averaged weights (hash checked, as
every checkpoint), ``optimisers.pt`` and ``run.json``. A folder appears whole, by one rename, or not at all.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mytalk.errors import WeightsError
from mytalk.torch_checkpoint import load_into, read_tensors, save_tensors
from mytalk.training.run.atomic_write import output_errors

AVERAGE = "average"
_STATE, _RUN = "optimisers.pt", "run.json"


@dataclass(frozen=True, slots=True)
class RunState:
    """Holds what a run is besides its networks and optimisers."""

    step: int
    score: float | None = None  # of the last validation; lower is better
    sums: dict[str, float] = field(default_factory=dict)  # of the curve's line under way
    counted: int = 0  # steps in ``sums``


class Checkpoints:
    """Keeps the checkpoints of one run folder."""

    def __init__(self, folder: Path, keep_best: int) -> None:
        self.folder = folder
        self._keep_best = keep_best

    def all(self) -> list[Path]:
        """Lists whole checkpoints, oldest first."""
        return [path for path in sorted(self.folder.glob("step-*")) if path.suffix != ".part" and _whole(path)]

    def newest(self) -> Path | None:
        """Returns the newest checkpoint, or None."""
        return next(reversed(self.all()), None)

    def best(self) -> Path | None:
        """Returns the one with the best validation figure; None where none was validated."""
        scored = [(score, path) for path in self.all() if (score := read_run(path).score) is not None]
        return min(scored)[1] if scored else None

    def save(
        self, state: RunState, networks: Mapping[str, nn.Module], average: Mapping[str, Tensor], rest: dict[str, Any]
    ) -> Path:
        """Writes one, then drops what is neither newest nor among the best. Raises OutputError where it cannot,
        OutputFullError where no space is left."""
        path = self.folder / f"step-{state.step:08d}"
        part = path.with_suffix(".part")
        with output_errors(part):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            for name, network in networks.items():
                save_tensors(part, name, network.state_dict())
            save_tensors(part, AVERAGE, average)
            torch.save(rest, part / _STATE)
            sizes = {file.name: file.stat().st_size for file in part.iterdir()}
            (part / _RUN).write_text(json.dumps({**asdict(state), "files": sizes}) + "\n")
            if path.exists():
                shutil.rmtree(path)
            part.rename(path)
        self._prune()
        return path

    def _prune(self) -> None:
        paths = self.all()
        scored = sorted((score, path) for path in paths if (score := read_run(path).score) is not None)
        kept = {paths[-1], *(path for _, path in scored[: self._keep_best])}
        for path in paths:
            if path not in kept:
                shutil.rmtree(path, ignore_errors=True)
        for part in self.folder.glob("step-*.part"):
            shutil.rmtree(part, ignore_errors=True)


def is_checkpoint(folder: Path) -> bool:
    """Says whether a folder is a checkpoint."""
    return (folder / _RUN).is_file()


def read_run(path: Path) -> RunState:
    """Reads the state of a run from a checkpoint."""
    record = json.loads((path / _RUN).read_text())
    del record["files"]
    return RunState(**record)


def load_networks(path: Path, networks: Mapping[str, nn.Module], average: Mapping[str, Tensor]) -> dict[str, Any]:
    """Loads networks and averaged weights from a checkpoint, and returns what else was saved.

    Raises WeightsError naming the first tensor that does not fit: the checkpoint is of another preset.
    """
    for name, network in networks.items():
        load_into(network, path, name)
    stored = read_tensors(path, AVERAGE)
    for name, tensor in average.items():
        if name not in stored or stored[name].shape != tensor.shape:
            raise WeightsError(f"{path}: averaged tensor {name} does not fit (is this run of another preset?)")
        tensor.copy_(stored[name])
    rest: dict[str, Any] = torch.load(path / _STATE, map_location="cpu", weights_only=True)
    return rest


def _whole(path: Path) -> bool:
    try:
        sizes = json.loads((path / _RUN).read_text())["files"]
        return all((path / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError):
        return False
