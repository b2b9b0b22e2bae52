"""Writes what a run leaves to look at: ``curve.jsonl``, TensorBoard curves and sample pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mytalk.errors import MyTalkError
from mytalk.training.run.atomic_write import output_errors

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

CURVE = "curve.jsonl"


class Logbook:
    """Writes a run's figures. Lines after the step that a run goes on from are dropped, so that none is there twice."""

    def __init__(self, run: Path, step: int) -> None:
        self._curve = run / CURVE
        kept = [line for line in read_curve(run) if int(line["step"]) <= step]
        with output_errors(run):
            run.mkdir(parents=True, exist_ok=True)
            self._curve.write_text("".join(json.dumps(line) + "\n" for line in kept))
            self._board = _board(run / "tensorboard", step)

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """Writes one line of the curve, and one point of each TensorBoard curve."""
        with output_errors(self._curve), self._curve.open("a") as file:
            file.write(json.dumps({"step": step, **figures}) + "\n")
        for name, value in figures.items():
            self._board.add_scalar(name, value, step)

    def show(self, step: int, pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """Writes sample pictures ``(H, W, 3)``."""
        for name, picture in pictures.items():
            self._board.add_image(name, picture, step, dataformats="HWC")

    def close(self) -> None:
        """Closes the TensorBoard file."""
        self._board.close()


def read_curve(run: Path) -> list[dict[str, float]]:
    """Reads the lines of a run's curve; a last line that was cut short is left out."""
    path = run / CURVE
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _board(folder: Path, step: int) -> SummaryWriter:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MyTalkError("training needs tensorboard: pip install 'mytalk-streamer[train]'") from error
    return SummaryWriter(str(folder), purge_step=step + 1)
