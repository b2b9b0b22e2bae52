"""Batches calls of several threads: while a batch runs, the next one gathers. No call waits for others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(slots=True, eq=False)
class _Call:
    arguments: tuple[Tensor, ...]
    results: tuple[Tensor, ...] | None = None
    attempted: bool = False

    @property
    def kind(self) -> list[tuple[object, ...]]:
        """Returns what calls of one batch have in common: shapes, types and devices."""
        return [(one.shape[1:], one.dtype, one.device) for one in self.arguments]


@dataclass(slots=True)
class CallBatcher:
    """Batches calls of ``function``, whose arguments have the batch as first axis: waiting calls share one.

    Any thread may call; one that fails in a batch is made again by itself, and raises what it raises. Where nobody
    else calls it costs a lock. ``max_batch``: rows of a batch, unless one call has more.
    """

    function: Callable[..., tuple[Tensor, ...]]
    max_batch: int
    _waiting: list[_Call] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # held to look at or change who waits
    _running: threading.Lock = field(default_factory=threading.Lock)  # held by the thread whose batch runs

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """Returns the function's results for these arguments, as if called alone, to rounding."""
        call = _Call(arguments)
        with self._lock:
            self._waiting.append(call)
        with self._running:
            if not call.attempted:  # else another thread took it along while this one waited
                self._run(self._gather(call))
            if call.results is None:
                call.results = self.function(*arguments)
        return call.results

    def _gather(self, call: _Call) -> list[_Call]:
        """Collects this thread's call and waiting calls like it, in order, as far as there is room."""
        batch, rows = [call], len(call.arguments[0])
        with self._lock:
            for other in self._waiting:
                fits = other.kind == call.kind and rows + len(other.arguments[0]) <= self.max_batch
                if other is not call and fits:
                    batch.append(other)
                    rows += len(other.arguments[0])
            self._waiting = [other for other in self._waiting if other not in batch]
        return batch

    def _run(self, batch: list[_Call]) -> None:
        for call in batch:
            call.attempted = True
        if len(batch) == 1:
            return  # by itself
        try:
            joined = [torch.cat(parts) for parts in zip(*(call.arguments for call in batch), strict=True)]
            outputs = self.function(*joined)
        except Exception:  # the device's memory, or one call's arguments: each is made alone
            return
        rows = [len(call.arguments[0]) for call in batch]
        for call, *results in zip(batch, *(one.split(rows) for one in outputs), strict=True):
            call.results = tuple(results)
