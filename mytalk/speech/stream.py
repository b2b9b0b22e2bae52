"""Encodes speech of any packet size to features of whole motion frames."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.media_time import FRAME_SAMPLES
from mytalk.runtime.cuda_graphs import to_device, to_host
from mytalk.speech.frontend import FeatureExtractor


class ReadoutEstimate(NamedTuple):
    """Holds what a readout predicted for the ``n`` frames before frame ``end`` of the stream, from all speech up to
    then."""

    end: int
    motion: Tensor  # (n, K)
    voice: NDArray[np.float32]  # (n,)


class EncodedSpeech(NamedTuple):
    """Holds features, levels and readout estimates of ``n`` motion frames of speech."""

    features: Tensor  # (n, D)
    levels: NDArray[np.float32]  # (n,) dB
    estimates: list[ReadoutEstimate]  # one a group of frames; none without a readout
    samples: int  # that were given for it, some of which may belong to the next frame


class SpeechStream:
    """Encodes one session's speech, with the same results whatever the packet sizes.

    Samples are gathered into groups of ``at_once`` motion frames (640 samples each), of which the first may be another
    size, and encoded a group at a time, so that the arithmetic, and with it the rounding, does not depend on the
    packets. It holds under one group of samples and the extractor's state.
    """

    def __init__(
        self, extractor: FeatureExtractor, at_once: int = 1, first: int | None = None, readout_frames: int = 0
    ) -> None:
        """``readout_frames``: motion frames up to each group's end that a readout predicts."""
        self._extractor, self._state = extractor, extractor.start(readout_frames)
        self._frames = 0  # motion frames
        self._at_once = at_once * FRAME_SAMPLES
        self._group = (first or at_once) * FRAME_SAMPLES
        self._pending = np.zeros(0, np.float32)

    @torch.inference_mode()
    def push(self, samples: NDArray[np.float32]) -> EncodedSpeech:
        """Takes more speech at 16 kHz, and returns the features of the groups that it completes."""
        self._pending = np.concatenate([self._pending, np.asarray(samples, np.float32)])
        groups = []
        while len(self._pending) >= self._group:
            groups.append(self._encode(self._group))
            self._group = self._at_once
        return self._join(groups, len(samples))

    @torch.inference_mode()
    def finish(self) -> EncodedSpeech:
        """Encodes the whole motion frames of the last group. No more speech comes."""
        rest = len(self._pending) // FRAME_SAMPLES * FRAME_SAMPLES
        return self._join([self._encode(rest)] if rest else [], 0)

    def _encode(self, count: int) -> tuple[Tensor, NDArray[np.float32], list[ReadoutEstimate]]:
        samples, self._pending = self._pending[:count], self._pending[count:]
        sound = to_device(torch.from_numpy(samples), self._extractor.weight.device)[None]
        encoded, readout = self._extractor(sound, self._state)
        frames = samples.reshape(-1, FRAME_SAMPLES)
        power = np.einsum("ts,ts->t", frames, frames) / FRAME_SAMPLES
        levels = np.asarray(10 * np.log10(power + 1e-10), np.float32)
        self._frames += len(levels)
        estimates = (
            []
            if readout is None
            else [ReadoutEstimate(self._frames, readout.motion[0], to_host(readout.voice[0]).numpy())]
        )
        return encoded[0], levels, estimates

    def _join(
        self, groups: list[tuple[Tensor, NDArray[np.float32], list[ReadoutEstimate]]], samples: int
    ) -> EncodedSpeech:
        if not groups:
            return EncodedSpeech(
                self._extractor.weight.new_zeros(0, self._extractor.width), np.zeros(0, np.float32), [], samples
            )
        features, levels, estimates = zip(*groups, strict=True)
        readout = [one for group in estimates for one in group]
        whole = torch.cat(features) if len(features) > 1 else features[0]
        return EncodedSpeech(whole, np.concatenate(levels), readout, samples)
