"""Speech of any packet size in, whole motion frames of features out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.media_time import FRAME_SAMPLES
from mytalk.speech.encoder import EncoderState, SpeechEncoder
from mytalk.speech.mel import LEFT, LogMel


class SpeechStream:
    """Features of one session's speech, the same whatever the packet sizes.

    Samples are gathered into motion frames (640 samples) and encoded a frame at a time, so that the arithmetic, and
    with it the rounding, is the same however they came in. It holds under one frame of samples and the tails.
    """

    def __init__(self, encoder: SpeechEncoder, mel: LogMel) -> None:
        self._encoder = encoder
        self._mel = mel
        self._state = EncoderState()
        self._pending = np.zeros(LEFT, np.float32)

    @torch.inference_mode()
    def push(self, samples: NDArray[np.float32]) -> tuple[Tensor, NDArray[np.float32]]:
        """More speech at 16 kHz: features ``(n, D)`` of the frames it completes, and their levels ``(n,)`` in dB."""
        self._pending = np.concatenate([self._pending, np.asarray(samples, np.float32)])
        features: list[Tensor] = []
        levels: list[float] = []
        device = self._mel.window.device
        while len(self._pending) >= LEFT + FRAME_SAMPLES:
            frame = self._pending[: LEFT + FRAME_SAMPLES]
            mel = self._mel(torch.from_numpy(frame).to(device)[None])
            features.append(self._encoder(mel, self._state)[0])
            levels.append(10 * float(np.log10(np.mean(frame[LEFT:] ** 2) + 1e-10)))
            self._pending = self._pending[FRAME_SAMPLES:]
        if not features:
            return torch.zeros(0, self._encoder.out.normalized_shape[0], device=device), np.zeros(0, np.float32)
        return torch.cat(features), np.array(levels, np.float32)
