"""Defines what a trainer teaches, apart from how: a ``Task`` has examples, networks and losses, and ``fit`` runs it.

Every random draw of an example is a function of (seed, step, row of the global batch). Hence a run that was killed goes
on to the bit, and N processes with B rows each see the same rows as one process with N * B.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Batch = dict[str, Any]
"""Tensors ``(B, ...)`` by name; ``keys``, a list of B strings saying which clip each row is from; and ``step``."""


class Examples(Protocol):
    """Draws rows. Picklable: worker processes hold a copy."""

    def __len__(self) -> int:
        """Returns the rows in one epoch."""

    def draw(self, step: int, row: int) -> Any:
        """Draws one row, the same for the same numbers, from ``row_rng`` alone."""

    def collate(self, rows: list[Any]) -> Batch:
        """Joins rows to a batch on the CPU. It must not depend on which rows are beside which, apart from padding."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Describes one optimiser's share of a step. Phases run one after the other on the same batch, each frozen to
    the others.

    ``module`` holds the trained parameters and buffers of this phase and no other's (keep other networks outside its
    registered children, in a list, say). Its ``forward(batch)`` gives scalar losses, each a mean over the batch's
    units; ``loss`` is what is followed downhill, the others are for the curve. It may leave tensors in the batch for
    the phases after it.
    """

    name: str
    module: nn.Module
    learning_rate: float | None = None  # a constant one of its own; None: the options' schedule
    betas: tuple[float, float] | None = None  # None: the options'
    start: int = 0  # the step from which it takes part
    clip: bool = True


class Task(ABC):
    """Defines one kind of training. Everything that must survive a restart is a parameter or a buffer of a phase."""

    name: str
    examples: Examples
    held_out: Examples | None = None
    phases: Sequence[Phase]
    averaged: nn.Module  # part of a phase; the moving average of its weights is validated and exported
    frozen: Sequence[nn.Module] = ()  # networks that are used and never trained
    best: str = "loss"  # the figure of ``validate`` that ranks checkpoints; lower is better

    def weight(self, batch: Batch) -> float:
        """Returns how many units the batch's losses are means over (rows, or frames that count).

        Parts of a step, over processes and passes, are weighed by it, so that the sum is the whole batch's mean.
        """
        return float(len(batch["keys"]))

    def validate(self, batch: Batch) -> Mapping[str, Tensor]:
        """Computes figures of a held-out batch, each a mean over its units; runs on the averaged weights, in eval
        mode."""
        figures: Mapping[str, Tensor] = self.phases[0].module(batch)
        return figures

    def after_step(self, step: int, losses: Mapping[str, float]) -> None:
        """Takes the losses, means over the whole batch, which are the same in every process."""
        return None

    def pictures(self) -> Mapping[str, NDArray[np.uint8]]:
        """Draws sample pictures ``(H, W, 3)`` by name, on the averaged weights, in eval mode."""
        return {}

    @abstractmethod
    def export(self, folder: Path) -> None:
        """Writes the weights as part of a checkpoint folder (``mytalk.checkpoint``); averaged weights are in place."""


def row_rng(seed: int, step: int, row: int, stream: int = 0) -> np.random.Generator:
    """Makes the random numbers of one row of one step. ``stream`` separates draws that must not be alike."""
    return np.random.default_rng([seed, step, row, stream])


def stack_rows(rows: Sequence[Mapping[str, Any]]) -> Batch:
    """Joins rows, dicts of arrays or tensors of equal shapes with a string ``key`` each, to a batch."""
    names = [name for name in rows[0] if name != "key"]
    batch: Batch = {name: torch.stack([torch.as_tensor(row[name]) for row in rows]) for name in names}
    batch["keys"] = [str(row["key"]) for row in rows]
    return batch


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Copies a batch to a device."""
    return {
        name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
        for name, value in batch.items()
    }


def full_precision(like: Tensor) -> torch.autocast:
    """Opens a block without mixed precision: for losses, whose small differences half precision rounds away."""
    return torch.autocast(like.device.type, enabled=False)


def take_rows(batch: Batch, start: int, stop: int) -> Batch:
    """Returns rows ``start`` to ``stop`` of a batch, as a batch."""
    return {
        name: value[start:stop] if isinstance(value, list) or (isinstance(value, Tensor) and value.ndim) else value
        for name, value in batch.items()
    }
