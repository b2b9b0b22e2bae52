"""Finds how many rows would have fitted where memory ran out."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from mytalk.training.run.task import Batch, take_rows


def out_of_memory(error: BaseException) -> bool:
    """Says whether an error is a GPU's out-of-memory error, or the CPU allocator's, which is a plain RuntimeError."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def largest_fit(modules: Sequence[nn.Module], batch: Batch, autocast: Callable[[], AbstractContextManager[Any]]) -> int:
    """Finds the most rows, by halving, with which every module's forward and backward pass; 0 where not even one
    does.

    Gradients are dropped afterwards.
    """
    rows = len(batch["keys"]) // 2
    while rows:
        _release(modules)
        try:
            part = take_rows(batch, 0, rows)
            for module in modules:
                with autocast():
                    loss = module(part)["loss"]
                loss.backward()
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
        else:
            return rows
        finally:
            _release(modules)
        rows //= 2
    return 0


def _release(modules: Sequence[nn.Module]) -> None:
    for module in modules:
        module.zero_grad(set_to_none=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
