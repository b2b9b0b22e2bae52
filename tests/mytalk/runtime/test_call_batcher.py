"""Calls that wait together are made as one, and each gets its own."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest
import torch
from torch import Tensor

from mytalk.runtime.call_batcher import CallBatcher
from tests.support.limits import LIMIT_S


class Slow:
    """Doubles; its first batch is under way until ``go``."""

    def __init__(self) -> None:
        self.go, self.began = Event(), Event()
        self.batches: list[list[float]] = []

    def __call__(self, x: Tensor) -> tuple[Tensor]:
        self.batches.append(x[:, 0].tolist())
        self.began.set()
        assert self.go.wait(LIMIT_S)
        if (x < 0).any():
            raise ValueError("below zero")
        return (2 * x,)


def call_while_one_runs(slow: Slow, max_batch: int, rows: list[Tensor]) -> list[Future[tuple[Tensor, ...]]]:
    """The first is under way when the others come, one after another."""
    together = CallBatcher(slow, max_batch)
    with ThreadPoolExecutor(len(rows)) as threads:
        calls = [threads.submit(together, rows[0])]
        assert slow.began.wait(LIMIT_S)
        for number, row in enumerate(rows[1:], 1):
            calls.append(threads.submit(together, row))
            while len(together._waiting) < number:
                time.sleep(0.001)
        slow.go.set()
    return calls


def row(value: float, width: int = 2) -> Tensor:
    return torch.full((1, width), value)


def test_calls_that_wait_share_a_batch() -> None:
    slow = Slow()
    calls = call_while_one_runs(slow, 8, [row(n) for n in range(5)])
    assert [call.result()[0].tolist() for call in calls] == [[[2.0 * n] * 2] for n in range(5)]
    assert [sorted(batch) for batch in slow.batches] == [[0], [1, 2, 3, 4]]


def test_no_batch_has_more_rows_than_it_may() -> None:
    slow = Slow()
    calls = call_while_one_runs(slow, 4, [row(0), row(1), torch.cat([row(2)] * 2), row(3), row(4), row(5)])
    assert [call.result()[0][0, 0].item() for call in calls] == [2.0 * n for n in range(6)]
    assert max(map(len, slow.batches)) == 4
    assert sorted(map(len, slow.batches)) == [1, 2, 4]


def test_calls_of_other_shapes_have_batches_of_their_own() -> None:
    slow = Slow()
    calls = call_while_one_runs(slow, 8, [row(0), row(1), row(2, width=3), row(3)])
    assert [call.result()[0].shape for call in calls] == [(1, 2), (1, 2), (1, 3), (1, 2)]
    assert sorted(map(sorted, slow.batches)) == [[0], [1, 3], [2]]


def test_one_that_fails_takes_no_other_along() -> None:
    slow = Slow()
    calls = call_while_one_runs(slow, 8, [row(0), row(1), row(-2), row(3)])
    for number in (0, 1, 3):
        assert calls[number].result()[0][0, 0] == 2 * number
    with pytest.raises(ValueError, match="below zero"):
        calls[2].result()
