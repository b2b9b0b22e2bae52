"""Speech of any packet size in, whole motion frames of features out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.media_time import FRAME_SAMPLES
from mytalk.runtime.cuda_graphs import to_device, to_host
from mytalk.speech.frontend import Hearing


class Guess(NamedTuple):
    """What a readout told of the ``n`` frames before frame ``end`` of the stream, from all that was heard by then."""

    end: int
    motion: Tensor  # (n, K)
    voice: NDArray[np.float32]  # (n,)


class EncodedSpeech(NamedTuple):
    """What is told of ``n`` motion frames of speech."""

    features: Tensor  # (n, D)
    levels: NDArray[np.float32]  # (n,) dB
    guesses: list[Guess]  # one a group of frames; none without a readout
    samples: int  # that were given for it, some of which may belong to the next frame


class SpeechStream:
    """Features of one session's speech, the same whatever the packet sizes.

    Samples are gathered into groups of ``at_once`` motion frames (640 samples each), of which the first may be another
    size, and encoded a group at a time, so that the arithmetic, and with it the rounding, is the same however they came
    in. It holds under one group of samples and the states of what hears them.
    """

    def __init__(self, hearing: Hearing, at_once: int = 1, first: int | None = None, guessed: int = 0) -> None:
        """``guessed``: motion frames up to each group's end that a readout tells of."""
        self._hearing, self._state = hearing, hearing.start(guessed)
        self._heard = 0  # motion frames
        self._at_once = at_once * FRAME_SAMPLES
        self._group = (first or at_once) * FRAME_SAMPLES
        self._pending = np.zeros(0, np.float32)

    @torch.inference_mode()
    def push(self, samples: NDArray[np.float32]) -> EncodedSpeech:
        """More speech at 16 kHz: what is heard in the groups that it completes."""
        self._pending = np.concatenate([self._pending, np.asarray(samples, np.float32)])
        groups = []
        while len(self._pending) >= self._group:
            groups.append(self._hear(self._group))
            self._group = self._at_once
        return self._join(groups, len(samples))

    @torch.inference_mode()
    def finish(self) -> EncodedSpeech:
        """The whole motion frames of the last group, as ``push`` gives them. No more speech comes."""
        rest = len(self._pending) // FRAME_SAMPLES * FRAME_SAMPLES
        return self._join([self._hear(rest)] if rest else [], 0)

    def _hear(self, count: int) -> tuple[Tensor, NDArray[np.float32], list[Guess]]:
        samples, self._pending = self._pending[:count], self._pending[count:]
        sound = to_device(torch.from_numpy(samples), self._hearing.weight.device)[None]
        encoded, told = self._hearing(sound, self._state)
        frames = samples.reshape(-1, FRAME_SAMPLES)
        power = np.einsum("ts,ts->t", frames, frames) / FRAME_SAMPLES
        levels = np.asarray(10 * np.log10(power + 1e-10), np.float32)
        self._heard += len(levels)
        guesses = [] if told is None else [Guess(self._heard, told.motion[0], to_host(told.voice[0]).numpy())]
        return encoded[0], levels, guesses

    def _join(self, groups: list[tuple[Tensor, NDArray[np.float32], list[Guess]]], samples: int) -> EncodedSpeech:
        if not groups:
            return EncodedSpeech(
                self._hearing.weight.new_zeros(0, self._hearing.width), np.zeros(0, np.float32), [], samples
            )
        features, levels, guesses = zip(*groups, strict=True)
        told = [one for group in guesses for one in group]
        whole = torch.cat(features) if len(features) > 1 else features[0]
        return EncodedSpeech(whole, np.concatenate(levels), told, samples)
