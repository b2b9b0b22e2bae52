"""Calculates stage 1 by torch, on any device, for arrays on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.motion.batch import join, split
from mytalk.motion.conditions import Conditions, MotionRequest, SampledMotion
from mytalk.motion.memory import MotionMemory, Past
from mytalk.motion.model import MotionModel
from mytalk.motion.sampler import DDIM
from mytalk.presets import MotionPreset
from mytalk.runtime.cuda_graphs import to_device, to_host
from mytalk.speech.frontend import FeatureExtractor

_FIELDS = tuple(field.name for field in fields(Conditions) if field.name != "past")


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

    def memory(self) -> MotionMemory:
        """Makes the memory of a new session, on the model's device."""
        return MotionMemory.empty(self.preset, self.model.denoiser.prefix.weight.new_zeros)

    @torch.inference_mode()
    def sample(self, requests: Sequence[MotionRequest]) -> list[SampledMotion]:
        """Samples the motion of each request, in one batch."""
        noise, conditions = join(requests)
        device = self.model.device
        moved: dict[str, Tensor] = {
            name: to_device(torch.from_numpy(one), device)
            for name in _FIELDS
            if (one := getattr(conditions, name)) is not None
        }
        given = to_device(torch.from_numpy(noise), device)
        pasts = [request.conditions.past for request in requests if request.conditions.past is not None]
        keys, values, convolved = (torch.cat([one[place] for one in pasts]) for place in range(3))
        counts = to_device(torch.tensor([[one.end, one.frames] for one in pasts]), device)
        past = Past(keys, values, convolved, counts[:, 0], counts[:, 1])
        sampled, frames = self.model.sample(given, Conditions(**moved, past=past), DDIM(requests[0].steps))
        return split(requests, to_host(sampled).numpy(), frames)
