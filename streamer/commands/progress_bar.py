"""How far long work has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from tqdm import tqdm

from streamer.commands import signals

_LINES = 5  # in a log file, for a work whose length is known
_FRAMES_A_LINE = 500  # for one whose length is not


class Progress:
    """``with Progress("dubbing", "frame") as progress: progress(done, total)``. Writes to standard error. A call raises
    what a signal asked for while something swallowed it."""

    def __init__(self, what: str, unit: str) -> None:
        self._what, self._unit = what, unit
        self._bar: tqdm[None] | None = None
        self._told = 0

    def __call__(self, done: int, total: int | None) -> None:
        signals.check()
        if not sys.stderr.isatty():
            self._line(done, total)
            return
        if self._bar is None:
            self._bar = tqdm(desc=self._what, unit=self._unit, dynamic_ncols=True, file=sys.stderr)
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
        if done // step > self._told:
            self._told = done // step
            of = "" if total is None else f" of {max(total, done)}"
            print(f"{self._what}: {done}{of} {self._unit}s", file=sys.stderr, flush=True)
