"""Computes a causal log-mel spectrogram: a frame looks back from its own end and never ahead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.speech.band_power import FFT, HOP, BandPower
from mytalk.speech.interfaces import Front

WINDOW = 400  # 25 ms
MELS = 80
MEL_PER_MOTION = FRAME_SAMPLES // HOP
FLOOR = 1e-5  # power below this is silence: about -50 dB under ordinary speech
LEFT = WINDOW - HOP
"""Samples before a chunk that its first frame still looks at."""


@dataclass(slots=True)
class MelState:
    """Holds the samples that the next chunk's first frame still looks at."""

    tail: Tensor  # (B, LEFT) samples


class LogMel(Front[MelState]):
    """Computes the natural log of mel power, shifted and scaled to about unit range. No learned parameters.

    Mel filters: triangular, Slaney scale, 50 Hz to 7.6 kHz.
    """

    rate = MEL_PER_MOTION
    width = MELS

    def __init__(self) -> None:
        super().__init__()
        self.power = BandPower(torch.hann_window(WINDOW), torch.from_numpy(mel_filters()))

    def forward(self, samples: Tensor) -> Tensor:
        """Maps samples ``(B, LEFT + 160 * N)``, the first ``LEFT`` being the past, to ``(B, N, 80)``."""
        return torch.log(self.power(samples) + FLOOR) * 0.25 + 1.0

    def start(self, batch: int = 1) -> MelState:
        return MelState(self.power.window.new_zeros(batch, LEFT))

    def stream(self, samples: Tensor, state: MelState) -> Tensor:
        samples = torch.cat([state.tail, samples], dim=-1)
        state.tail = samples[:, -LEFT:]
        return self.forward(samples)

    def offline(self, samples: Tensor) -> Tensor:
        """Maps a whole recording ``(B, S)`` from its start to ``(B, S // 160, 80)``."""
        return self.forward(F.pad(samples, (LEFT, 0)))


def mel_filters(low: float = 50.0, high: float = 7600.0) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Returns a filter bank ``(257, 80)`` of unit area on the Slaney mel scale (linear below 1 kHz, logarithmic
    above)."""

    def to_mel(
        hertz: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.where(hertz < 1000, hertz * 3 / 200, 15 + 27 * np.log(np.maximum(hertz, 1) / 1000) / np.log(6.4))

    def to_hertz(
        mel: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    ) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(np.log(6.4) * (mel - 15) / 27))

    low_mel, high_mel = to_mel(np.array([low, high]))
    edges = to_hertz(np.linspace(low_mel, high_mel, MELS + 2))  # (82,)
    bins = np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE)[:, None]  # (257, 1)
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0, np.minimum(rise, fall))
    return np.asarray(triangles * 2 / (edges[2:] - edges[:-2]), np.float32)
