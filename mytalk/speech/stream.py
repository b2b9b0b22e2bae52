"""Speech of any packet size in, whole motion frames of features out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.media_time import FRAME_SAMPLES
from mytalk.speech.seam import Encoder, Front


class SpeechStream:
    """Features of one session's speech, the same whatever the packet sizes.

    Samples are gathered into groups of ``at_once`` motion frames (640 samples each), of which the first may be another
    size, and encoded a group at a time, so that the arithmetic, and with it the rounding, is the same however they came
    in. It holds under one group of samples and the two states.
    """

    def __init__(self, encoder: Encoder[Any], front: Front[Any], at_once: int = 1, first: int | None = None) -> None:
        self._encoder, self._front = encoder, front
        self._encoder_state, self._front_state = encoder.start(), front.start()
        self._at_once = at_once * FRAME_SAMPLES
        self._group = (first or at_once) * FRAME_SAMPLES
        self._pending = np.zeros(0, np.float32)

    @torch.inference_mode()
    def push(self, samples: NDArray[np.float32]) -> tuple[Tensor, NDArray[np.float32]]:
        """More speech at 16 kHz: features ``(n, D)`` of the groups it completes, and their levels ``(n,)`` in dB."""
        self._pending = np.concatenate([self._pending, np.asarray(samples, np.float32)])
        groups = []
        while len(self._pending) >= self._group:
            groups.append(self._encode(self._group))
            self._group = self._at_once
        return self._join(groups)

    @torch.inference_mode()
    def finish(self) -> tuple[Tensor, NDArray[np.float32]]:
        """The whole motion frames of the last group, as ``push`` gives them. No more speech comes."""
        rest = len(self._pending) // FRAME_SAMPLES * FRAME_SAMPLES
        return self._join([self._encode(rest)] if rest else [])

    def _encode(self, count: int) -> tuple[Tensor, NDArray[np.float32]]:
        samples, self._pending = self._pending[:count], self._pending[count:]
        weight = next(self._encoder.parameters())
        features = self._front.stream(torch.from_numpy(samples).to(weight.device)[None], self._front_state)
        power = np.mean(samples.reshape(-1, FRAME_SAMPLES) ** 2, axis=1)
        levels = np.asarray(10 * np.log10(power + 1e-10), np.float32)
        return self._encoder(features.to(weight.dtype), self._encoder_state)[0], levels

    def _join(self, groups: list[tuple[Tensor, NDArray[np.float32]]]) -> tuple[Tensor, NDArray[np.float32]]:
        if not groups:
            weight = next(self._encoder.parameters())
            return weight.new_zeros(0, self._encoder.width), np.zeros(0, np.float32)
        return torch.cat([features for features, _ in groups]), np.concatenate([levels for _, levels in groups])
