"""Samples on a GPU: all steps of a batch of windows as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from mytalk.motion.conditions import Conditions
from mytalk.runtime.cuda_graphs import CudaGraphs, Recorder, padded_batch

MAX_BATCH = 64
"""Windows of one batch at most; more are sampled without a graph."""

_STEP_COUNTS = 4  # how many different numbers of steps have graphs
_ALIGNED = 8  # rows of a mask that attention kernels take are a multiple of this

Sample = Callable[[Tensor, Conditions[Tensor], int], Tensor]


class GraphSampling:
    """Calls ``sample(noise, conditions, steps)`` by graphs: windows are padded to one length, batches to a power of
    two."""

    def __init__(self, sample: Sample, window: int, record: Recorder | None = None) -> None:
        """``window``: motion frames of the longest window that is sampled by graphs."""
        self._sample = sample
        self._frames = -(-window // _ALIGNED) * _ALIGNED
        self._record = record
        self._graphs: dict[int, CudaGraphs] = {}

    def __call__(self, noise: Tensor, conditions: Conditions[Tensor], steps: int) -> Tensor:
        """Samples motion ``(B, T, K)`` from noise of the same shape, as ``sample`` does, to rounding."""
        batch, frames = noise.shape[:2]
        if steps not in self._graphs and len(self._graphs) < _STEP_COUNTS:
            self._graphs[steps] = CudaGraphs(partial(self._run, steps), self._record)
        if batch > MAX_BATCH or frames > self._frames or steps not in self._graphs:
            return self._sample(noise, conditions, steps)
        missing = (padded_batch(batch) - batch, self._frames - frames)
        valid = conditions.valid
        if valid is None:
            valid = torch.ones(batch, frames, dtype=torch.bool, device=noise.device)
        # What pads a batch is a window too, for attention over no row at all is no number.
        valid = F.pad(F.pad(valid, (0, missing[1])), (0, 0, 0, missing[0]), value=True)
        sequences = [noise, conditions.speech, conditions.upper, conditions.history, conditions.known]
        estimate = [] if conditions.estimate is None else [conditions.estimate]
        wide = [padded(one, *missing) for one in (*sequences, *estimate)]
        identity = F.pad(conditions.identity, (0, 0, 0, missing[0]))
        motion: Tensor = self._graphs[steps](identity, valid, *wide)[0]
        return motion[:batch, :frames]

    def _run(self, steps: int, identity: Tensor, valid: Tensor, noise: Tensor, *inputs: Tensor) -> tuple[Tensor]:
        speech, upper, history, known, *estimate = inputs
        conditions = Conditions(speech, upper, identity, history, known, valid, *estimate)
        return (self._sample(noise, conditions, steps),)


def padded(values: Tensor, batch: int, frames: int) -> Tensor:
    """Pads ``(B, T, ...)`` by so many rows of zeros in both axes."""
    return F.pad(values, (0, 0) * (values.dim() - 2) + (0, frames, 0, batch)) if batch or frames else values
