"""Calculates stage 1 by graphs, on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytalk.motion.batch import join
from mytalk.motion.conditions import MotionRequest
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

    def sample(self, requests: Sequence[MotionRequest]) -> list[NDArray[np.float32]]:
        """Samples the motion ``(rows, K)`` of each request: in one batch those of equal length, for a graph knows no
        padding."""
        sampled: list[NDArray[np.float32] | None] = [None] * len(requests)
        for rows in {request.window.rows for request in requests}:
            places = [place for place, request in enumerate(requests) if request.window.rows == rows]
            for place, motion in zip(places, self._sample([requests[place] for place in places]), strict=True):
                sampled[place] = motion
        return [motion for motion in sampled if motion is not None]

    def _sample(self, requests: Sequence[MotionRequest]) -> NDArray[np.float32]:
        """Samples requests of one length, ``(B, T, K)``."""
        x, given = join(requests)
        sampler = DDIM(requests[0].steps)
        conditions = (given.speech, given.upper, given.identity, given.history, given.known)
        for index, t in enumerate(sampler.timesteps):
            (x0,) = self.denoiser(x, np.full(len(x), t), *conditions)
            if given.estimate is not None:
                mixed = x0 + np.float32(self.preset.readout) * (given.estimate - x0)
                x0 = np.where(given.known[..., None], x0, mixed)
            x = sampler.step(x0, index, x)
        return x
