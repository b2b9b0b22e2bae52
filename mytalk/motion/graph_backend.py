"""Calculates stage 1 by graphs, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytalk.motion.batch import join, split
from mytalk.motion.conditions import MotionRequest, SampledMotion
from mytalk.motion.memory import MotionMemory, Past, Remembered
from mytalk.motion.sampler import DDIM
from mytalk.motion.space import MotionSpace
from mytalk.presets import MotionPreset
from mytalk.runtime.onnx_graph import Graph
from mytalk.speech.graph_extractor import GraphExtractor


@dataclass
class GraphMotion:
    """Runs the graphs of a motion model as a `mytalk.motion.batch.MotionBackend`."""

    preset: MotionPreset
    space: MotionSpace
    extractor: GraphExtractor
    identity: Graph
    denoiser: Graph

    def person(self, lower: NDArray[np.float32], upper: NDArray[np.float32]) -> NDArray[np.float32]:
        """Makes ``Conditions.identity`` ``(1, E)`` of a rest shape and an upper face."""
        return self.identity(lower[None], upper[None])[0]

    def memory(self) -> MotionMemory:
        """Makes the memory of a new session."""
        return MotionMemory.empty(self.preset, lambda shape: np.zeros(shape, np.float32))

    def sample(self, requests: Sequence[MotionRequest]) -> list[SampledMotion]:
        """Samples the motion of each request, in one batch."""
        x, given = join(requests)
        valid = np.ones(x.shape[:2], np.bool_) if given.valid is None else given.valid
        conditions = (given.speech, given.upper, given.identity, given.history, given.known, valid)
        past = _join_pasts([request.conditions.past for request in requests if request.conditions.past is not None])
        sampler = DDIM(requests[0].steps)
        for index, t in enumerate(sampler.timesteps):
            x0, *frames = self.denoiser(x, np.full(len(x), t), *conditions, *past)
            if given.estimate is not None:
                mixed = x0 + np.float32(self.preset.readout) * (given.estimate - x0)
                x0 = np.where(given.known[..., None], x0, mixed)
            x = sampler.step(x0, index, x)
        return split(requests, x, Remembered(*frames))  # of final rows, what is remembered is the same in every step


def _join_pasts(pasts: Sequence[Past]) -> Past:
    """Joins the pasts of sessions; that of one alone is not copied."""
    ends, frames = (np.array([one[place] for one in pasts], np.int64) for place in (3, 4))
    if len(pasts) == 1:
        return pasts[0]._replace(end=ends, frames=frames)
    keys, values, convolved = (np.concatenate([one[place] for one in pasts]) for place in range(3))
    return Past(keys, values, convolved, ends, frames)
