"""Samples on a GPU: all steps of a batch of windows as one CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from mytalk.motion.conditions import Conditions
from mytalk.motion.conformer import no_past
from mytalk.motion.memory import Past, Remembered
from mytalk.presets import MotionPreset
from mytalk.runtime.cuda_graphs import CudaGraphs, Recorder, padded_batch

MAX_BATCH = 64
"""Windows of one batch at most; more are sampled without a graph."""

MAX_FRAMES = 64
"""Frames of one batch's longest window at most, those remembered not among them: every profile's hop has fewer. More
come after pictures without a face, and are sampled without a graph."""

ALIGNED_FRAMES = 8
"""Windows are padded to a multiple of this, which attention kernels take and few recordings serve."""

_STEP_COUNTS = 4  # how many different numbers of steps have graphs

Sample = Callable[[Tensor, Conditions[Tensor], int], tuple[Tensor, Remembered]]


class GraphSampling:
    """Calls ``sample(noise, conditions, steps)`` by graphs: windows are padded to a few lengths, batches to a power of
    two."""

    def __init__(self, sample: Sample, preset: MotionPreset, record: Recorder | None = None) -> None:
        self._sample = sample
        self._preset = preset
        self._record = record
        self._graphs: dict[int, CudaGraphs] = {}

    def __call__(self, noise: Tensor, conditions: Conditions[Tensor], steps: int) -> tuple[Tensor, Remembered]:
        """Samples motion ``(B, T, K)`` from noise of the same shape, as ``sample`` does, to rounding."""
        batch, frames = noise.shape[:2]
        if steps not in self._graphs and len(self._graphs) < _STEP_COUNTS:
            self._graphs[steps] = CudaGraphs(partial(self._run, steps), self._record)
        if batch > MAX_BATCH or frames > MAX_FRAMES or steps not in self._graphs or conditions.past is None:
            return self._sample(noise, conditions, steps)
        missing = (padded_batch(batch) - batch, -frames % ALIGNED_FRAMES)
        valid = conditions.valid
        if valid is None:
            valid = torch.ones(batch, frames, dtype=torch.bool, device=noise.device)
        # What pads a batch is a window too, for attention over no row at all is no number.
        valid = F.pad(F.pad(valid, (0, missing[1])), (0, 0, 0, missing[0]), value=True)
        sequences = [noise, conditions.speech, conditions.upper, conditions.history, conditions.known]
        estimate = [] if conditions.estimate is None else [conditions.estimate]
        wide = [padded(one, *missing) for one in (*sequences, *estimate)]
        identity = F.pad(conditions.identity, (0, 0, 0, missing[0]))
        past = conditions.past
        if missing[0]:
            nothing = no_past(missing[0], self._preset, past.keys)
            past = Past(*(torch.cat(parts) for parts in zip(past, nothing, strict=True)))
        motion, *kept = self._graphs[steps](identity, valid, *past, *wide)
        return motion[:batch, :frames], Remembered(*kept)

    def _run(self, steps: int, identity: Tensor, valid: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        past, (noise, speech, upper, history, known, *estimate) = Past(*inputs[:5]), inputs[5:]
        given = estimate[0] if estimate else None
        conditions = Conditions(speech, upper, identity, history, known, valid, given, past)
        motion, kept = self._sample(noise, conditions, steps)
        return (motion, *kept)


def padded(values: Tensor, batch: int, frames: int) -> Tensor:
    """Pads ``(B, T, ...)`` by so many rows of zeros in both axes."""
    return F.pad(values, (0, 0) * (values.dim() - 2) + (0, frames, 0, batch)) if batch or frames else values
