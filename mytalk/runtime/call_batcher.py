"""Calls of several threads made as one: while a batch runs, the next one gathers. Nobody waits for company."""

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
    tried: bool = False

    @property
    def kind(self) -> list[tuple[object, ...]]:
        """What calls of one batch have in common."""
        return [(one.shape[1:], one.dtype, one.device) for one in self.arguments]


@dataclass(slots=True)
class CallBatcher:
    """``function`` of tensors whose first axis is the batch: calls that are waiting together share one.

    Any thread may call; one that fails in a batch is made again by itself, and raises what it raises. Where nobody
    else calls it costs a lock. ``most``: rows of a batch, unless one call has more.
    """

    function: Callable[..., tuple[Tensor, ...]]
    most: int
    _waiting: list[_Call] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # held to look at or change who waits
    _turn: threading.Lock = field(default_factory=threading.Lock)  # held by the thread whose batch runs

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """The function's results for these arguments, as if called alone: to rounding."""
        mine = _Call(arguments)
        with self._lock:
            self._waiting.append(mine)
        with self._turn:
            if not mine.tried:  # else another thread took it along while this one waited
                self._run(self._gather(mine))
            if mine.results is None:
                mine.results = self.function(*arguments)
        return mine.results

    def _gather(self, mine: _Call) -> list[_Call]:
        """This thread's call and those like it that wait, in order, as far as there is room."""
        batch, rows = [mine], len(mine.arguments[0])
        with self._lock:
            for other in self._waiting:
                fits = other.kind == mine.kind and rows + len(other.arguments[0]) <= self.most
                if other is not mine and fits:
                    batch.append(other)
                    rows += len(other.arguments[0])
            self._waiting = [other for other in self._waiting if other not in batch]
        return batch

    def _run(self, batch: list[_Call]) -> None:
        for call in batch:
            call.tried = True
        if len(batch) == 1:
            return  # by itself
        try:
            joined = [torch.cat(same) for same in zip(*(call.arguments for call in batch), strict=True)]
            made = self.function(*joined)
        except Exception:  # the device's memory, or one call's arguments: each is made alone
            return
        rows = [len(call.arguments[0]) for call in batch]
        for call, *results in zip(batch, *(one.split(rows) for one in made), strict=True):
            call.results = tuple(results)
