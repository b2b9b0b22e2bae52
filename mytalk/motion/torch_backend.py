"""Calculates stage 1 by torch, on any device, for arrays on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.motion.batch import join
from mytalk.motion.conditions import Conditions, MotionRequest
from mytalk.motion.model import MotionModel
from mytalk.motion.sampler import DDIM
from mytalk.presets import MotionPreset
from mytalk.runtime.cuda_graphs import to_device, to_host
from mytalk.speech.frontend import FeatureExtractor

_FIELDS = tuple(field.name for field in fields(Conditions))


class TorchMotion:
    """Runs a `MotionModel`, whose weights change no more, as a `mytalk.motion.batch.MotionBackend`."""

    def __init__(self, model: MotionModel) -> None:
        self.model = model
        self.space = model.space.arrays()

    @property
    def preset(self) -> MotionPreset:
        """Returns the sizes."""
        return self.model.preset

    @property
    def extractor(self) -> FeatureExtractor:
        """Returns the speech front, encoder and readout, joined."""
        return self.model.extractor

    @torch.inference_mode()
    def person(self, lower: NDArray[np.float32], upper: NDArray[np.float32]) -> NDArray[np.float32]:
        """Makes ``Conditions.identity`` ``(1, E)`` of a rest shape and an upper face."""
        given = (to_device(torch.from_numpy(one), self.model.device) for one in (lower, upper))
        return np.asarray(to_host(self.model.person(*given)).numpy())[None]

    def sample(self, requests: Sequence[MotionRequest]) -> list[NDArray[np.float32]]:
        """Samples the motion ``(rows, K)`` of each request."""
        noise, conditions = join(requests)
        device = self.model.device
        moved: dict[str, Tensor] = {
            name: to_device(torch.from_numpy(one), device)
            for name in _FIELDS
            if (one := getattr(conditions, name)) is not None
        }
        given = to_device(torch.from_numpy(noise), device)
        motion = to_host(self.model.sample(given, Conditions(**moved), DDIM(requests[0].steps))).numpy()
        return [motion[index, : request.window.rows] for index, request in enumerate(requests)]
