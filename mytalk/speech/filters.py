"""Computes filter banks over the spectrum, and the product that stands in for an FFT in a graph, which has none."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytalk.media_time import SAMPLE_RATE

Array = NDArray[np.float32]

HOP = 160  # samples, 10 ms
FFT = 512
MEL_WINDOW = 400  # samples, 25 ms
MELS = 80
CEPSTRA_WINDOW = 410  # samples, 25.6 ms

_CEPSTRA_BANDS = 25
_LOW, _HIGH = 130.0, 6800.0  # Hz, of CMU Sphinx's bands


class Bands(NamedTuple):
    """Says how samples become power in C bands: by an FFT, or by products of U of its bins alone."""

    window: Array  # (W,)
    filters: Array  # (257, C): how much each bin of the spectrum counts in a band
    waves: Array  # (W, 2 U): window times cosines, and times sines, of the bins that a band has
    bins: Array  # (2 U, C): ``filters`` of these bins, twice


def mel_bands() -> Bands:
    """Returns the 80 bands of the log-mel spectrogram."""
    window = 0.5 - 0.5 * np.cos(2 * math.pi / MEL_WINDOW * np.arange(MEL_WINDOW))  # a periodic Hann window
    return _bands(window, mel_filters())


def cepstra_bands() -> Bands:
    """Returns the 25 bands that CMU Sphinx makes cepstra of."""
    return _bands(np.hamming(CEPSTRA_WINDOW), sphinx_filters())


def _bands(window: NDArray[np.float64], filters: Array) -> Bands:
    used = np.flatnonzero(filters.any(axis=1))
    angles = 2 * math.pi / FFT * np.arange(len(window))[:, None] * used
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) * window[:, None]
    return Bands(
        window.astype(np.float32), filters, waves.astype(np.float32), np.concatenate([filters[used], filters[used]])
    )


def mel_filters(low: float = 50.0, high: float = 7600.0) -> Array:
    """Returns a filter bank ``(257, 80)`` of unit area on the Slaney mel scale (linear below 1 kHz, logarithmic
    above)."""

    def to_mel(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(hertz < 1000, hertz * 3 / 200, 15 + 27 * np.log(np.maximum(hertz, 1) / 1000) / np.log(6.4))

    def to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(np.log(6.4) * (mel - 15) / 27))

    low_mel, high_mel = to_mel(np.array([low, high]))
    return _triangles(to_hertz(np.linspace(low_mel, high_mel, MELS + 2)))  # 82 edges


def sphinx_filters() -> Array:
    """Returns a filter bank ``(257, 25)``: triangles of unit area between edges that lie on the bins of the
    spectrum."""

    def to_mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    step = SAMPLE_RATE / FFT
    mels = np.linspace(to_mel(_LOW), to_mel(_HIGH), _CEPSTRA_BANDS + 2)
    return _triangles(np.floor(700 * (10 ** (mels / 2595) - 1) / step + 0.5) * step)  # 27 edges


def _triangles(edges: NDArray[np.float64]) -> Array:
    """Returns triangles of unit area between edges in Hz ``(C + 2,)``, over the bins of the spectrum ``(257, C)``."""
    bins = np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE)[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.asarray(np.maximum(0, np.minimum(rise, fall)) * 2 / (edges[2:] - edges[:-2]), np.float32)
