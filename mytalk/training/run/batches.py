"""Makes the batches of one process: its rows of every step, made here or in worker processes, in order."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice

import torch

from mytalk.errors import DataError, OptionError, TrainingError
from mytalk.training.run.config import TrainingOptions
from mytalk.training.run.task import Batch, Examples

AHEAD = 2
"""Batches a worker process may be ahead of the trainer."""


@dataclass(frozen=True, slots=True)
class Share:
    """Says which rows of a step's batch one of ``processes`` processes works on, in each of ``passes`` passes."""

    batch: int
    passes: int
    process: int
    processes: int

    @property
    def rows(self) -> int:
        """Returns the rows a process and pass."""
        return self.batch // (self.passes * self.processes)

    def of(self, number: int) -> range:
        """Returns the rows of pass ``number``, by their place in the whole batch."""
        first = (number * self.processes + self.process) * self.rows
        return range(first, first + self.rows)


def share_of(options: TrainingOptions, process: int, processes: int) -> Share:
    """Splits the batch of a step. Raises OptionError where it cannot be shared out evenly."""
    parts = options.accumulate * processes
    if options.batch < 1 or options.accumulate < 1 or options.batch % parts:
        raise OptionError(
            f"batch {options.batch}: need a multiple of accumulate x processes = {options.accumulate} x {processes}"
        )
    return Share(options.batch, options.accumulate, process, processes)


def batches(examples: Examples, share: Share, steps: range, workers: int) -> Iterator[Batch]:
    """Yields ``share.passes`` batches a step, for every step. Raises DataError where there are no examples,
    TrainingError where a worker process died.

    Raises DataError where there are no examples, TrainingError where a worker process died.
    """
    if not len(examples):
        raise DataError("no usable example in the training data: prepare clips of at least 2 s (mytalk train prepare)")
    indices = ([(step, row) for row in share.of(number)] for step in steps for number in range(share.passes))
    if not workers:
        yield from (_make(examples, rows) for rows in indices)
        return
    with ProcessPoolExecutor(
        workers, mp_context=torch.multiprocessing.get_context(), initializer=_begin, initargs=(examples,)
    ) as pool:
        try:
            yield from _ahead(pool, indices, AHEAD * workers)
        except BrokenProcessPool as error:
            raise TrainingError(
                "a process that makes training examples was killed (often memory ran out: use fewer workers)"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _ahead(pool: ProcessPoolExecutor, indices: Iterator[list[tuple[int, int]]], bound: int) -> Iterator[Batch]:
    """Yields batches in order, at most ``bound`` of them made or in the making; when that many wait, no more are
    asked for."""
    waiting: deque[Future[Batch]] = deque(pool.submit(_make_in_worker, rows) for rows in islice(indices, bound))
    while waiting:
        made = waiting.popleft().result()
        waiting.extend(pool.submit(_make_in_worker, rows) for rows in islice(indices, 1))
        yield made


def _make(examples: Examples, rows: list[tuple[int, int]]) -> Batch:
    return examples.collate([examples.draw(step, row) for step, row in rows])


_examples: list[Examples] = []
"""Examples of a worker process: its own copy."""


def _begin(examples: Examples) -> None:
    """Sets up a worker process. Ctrl-C reaches every process of a terminal; the trainer alone decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)
    _examples[:] = [examples]


def _make_in_worker(rows: list[tuple[int, int]]) -> Batch:
    return _make(_examples[0], rows)
