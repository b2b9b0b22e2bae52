"""Shows the progress of long work: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm

from streamer.commands import signals

_LINES = 5  # in a log file, where the length is known
_FRAMES_A_LINE = 500  # where it is not


class Progress:
    """Writes progress to standard error: ``with Progress("dubbing", "frame") as progress: progress(done, total)``.

    A call raises again the exception of a signal that a library swallowed."""

    def __init__(self, title: str, unit: str) -> None:
        self._title, self._unit = title, unit
        self._bar: tqdm[None] | None = None
        self._printed = 0

    def __call__(self, done: int, total: int | None) -> None:
        signals.check()
        if not sys.stderr.isatty():
            self._line(done, total)
            return
        if self._bar is None:
            self._bar = tqdm(desc=self._title, unit=self._unit, dynamic_ncols=True, file=sys.stderr)
        self._bar.total = None if total is None else max(total, done)
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _line(self, done: int, total: int | None) -> None:
        step = _FRAMES_A_LINE if total is None else max(1, total // _LINES)
        if done // step > self._printed:
            self._printed = done // step
            of = "" if total is None else f" of {max(total, done)}"
            print(f"{self._title}: {done}{of} {self._unit}s", file=sys.stderr, flush=True)
