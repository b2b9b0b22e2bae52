"""Sampling on a GPU: all steps of a batch of windows as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from mytalk.motion.conditions import Conditions, padded
from mytalk.runtime.cuda_graphs import CudaGraphs, Recorder, padded_rows

ROWS = 64
"""Windows of one batch at most; more are sampled without a graph."""

_STEP_COUNTS = 4  # how many different numbers of steps have graphs
_ALIGNED = 8  # rows of a mask that attention kernels take are a multiple of this

Sample = Callable[[Tensor, Conditions, int], Tensor]


class ReplayedSampling:
    """``sample(noise, given, steps)`` by graphs: windows are padded to one length, batches to a power of two."""

    def __init__(self, sample: Sample, window: int, record: Recorder | None = None) -> None:
        """``window``: motion frames of the longest window that is sampled by graphs."""
        self._sample = sample
        self._frames = -(-window // _ALIGNED) * _ALIGNED
        self._record = record
        self._graphs: dict[int, CudaGraphs] = {}

    def __call__(self, noise: Tensor, given: Conditions, steps: int) -> Tensor:
        """Motion ``(B, T, K)`` from noise of the same shape, as ``sample`` has it: to rounding."""
        rows, frames = noise.shape[:2]
        if steps not in self._graphs and len(self._graphs) < _STEP_COUNTS:
            self._graphs[steps] = CudaGraphs(partial(self._run, steps), self._record)
        if rows > ROWS or frames > self._frames or steps not in self._graphs:
            return self._sample(noise, given, steps)
        beyond = (padded_rows(rows) - rows, self._frames - frames)
        valid = given.valid
        if valid is None:
            valid = torch.ones(rows, frames, dtype=torch.bool, device=noise.device)
        # What pads a batch is a window too, for attention over no row at all is no number.
        valid = F.pad(F.pad(valid, (0, beyond[1])), (0, 0, 0, beyond[0]), value=True)
        around = [noise, given.speech, given.upper, given.history, given.known]
        guess = [] if given.guess is None else [given.guess]
        wider = [padded(one, *beyond) for one in (*around, *guess)]
        identity = F.pad(given.identity, (0, 0, 0, beyond[0]))
        made: Tensor = self._graphs[steps](identity, valid, *wider)[0]
        return made[:rows, :frames]

    def _run(self, steps: int, identity: Tensor, valid: Tensor, noise: Tensor, *given: Tensor) -> tuple[Tensor]:
        speech, upper, history, known, *guess = given
        conditions = Conditions(speech, upper, identity, history, known, valid, *guess)
        return (self._sample(noise, conditions, steps),)
