"""A task small enough to follow by hand: fit a line to noisy points. Also a program, for runs of several processes.

python fake_task.py RUN '{"steps": 10}'
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mytalk.torch_checkpoint import save_tensors
from mytalk.training.run.config import TrainingOptions, build
from mytalk.training.run.loop import fit
from mytalk.training.run.task import Batch, Phase, Task, row_rng, stack_rows

SEED = 3


class Points:
    """Points near y = 2 x + 1; a row of ``poison`` is not a number from that step on."""

    def __init__(self, rows: int = 64, poison: int | None = None) -> None:
        self._rows, self._poison = rows, poison

    def __len__(self) -> int:
        return self._rows

    def draw(self, step: int, row: int) -> dict[str, Any]:
        rng = row_rng(SEED, step, row)
        x = rng.standard_normal(4).astype(np.float32)
        y = 2 * x + 1 + 0.1 * rng.standard_normal(4).astype(np.float32)
        if row == 2 and self._poison is not None and step >= self._poison:
            y[0] = np.nan
        return {"key": f"clip{row}", "x": x, "y": y, "counts": np.float32(1 + row % 3)}

    def collate(self, rows: list[dict[str, Any]]) -> Batch:
        return stack_rows(rows)


class LineFit(nn.Module):
    """A task whose loss weighs rows unlike, as motion windows do; ``most`` rows are all that memory holds."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self.slope, self.offset = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
        self.most = most

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        if self.most is not None and len(batch["keys"]) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        error = (self.slope * batch["x"] + self.offset - batch["y"]).square().mean(-1)
        loss = (error * batch["counts"]).sum() / batch["counts"].sum()
        return {"loss": loss, "slope": self.slope.detach().sum()}


class LineTask(Task):
    name = "line"

    def __init__(self, poison: int | None = None, rows: int = 64, most: int | None = None) -> None:
        torch.manual_seed(SEED)
        self.examples, self.held_out = Points(rows, poison), Points(8)
        self.averaged = LineFit(most)
        self.phases = (Phase("line", self.averaged),)

    def weight(self, batch: Batch) -> float:
        return float(batch["counts"].sum())

    def pictures(self) -> dict[str, NDArray[np.uint8]]:
        return {"line": np.full((4, 6, 3), 128, np.uint8)}

    def export(self, folder: Path) -> None:
        save_tensors(folder, "line", self.averaged.state_dict())


if __name__ == "__main__":
    torch.set_num_threads(1)
    conditions = {"batch": 8, "learning_rate": 0.05, "log_every": 1, "save_every": 5, **json.loads(sys.argv[2])}
    fit(LineTask(), build(TrainingOptions, conditions, "test"), Path(sys.argv[1]), device="cpu")
