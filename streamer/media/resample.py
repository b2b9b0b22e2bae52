"""Converts speech between sample rates as a stream: any packet sizes give the same samples.

Two windowed-sinc filters, because delay counts here: they hold back 1 ms at most. soxr's stream holds back 20 ms or
more, or 0.5 ms (from 44.1 kHz, at its low quality) where it loses 2 dB of the upper band (`benchmarks/RESULTS.md`);
FFmpeg's resampler keeps two threads for each session.
"""

from __future__ import annotations

from functools import cache
from math import gcd

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mytalk.media.mono import MixGuard
from mytalk.media_time import SAMPLE_RATE
from streamer.media.audio import OUTPUT_RATE, Stereo

HALF = 16
"""Input samples on each side that one upsampled sample is made from. As many are held back until later ones come."""

_CUTOFF = 0.92  # of the input's own band
_STEP = OUTPUT_RATE // SAMPLE_RATE
_TAPS = 97  # of the downsampler at 48 kHz: half of them, 1 ms, are held back
_PASS = 7_000  # Hz: -6 dB there, -75 dB from 8.5 kHz on


class Upsampler:
    """Converts ``rate`` (8 000 to 48 000, a multiple of 25) to 48 kHz stereo. 48 kHz passes through to the bit."""

    def __init__(self, rate: int) -> None:
        common = gcd(rate, OUTPUT_RATE)
        self._up, self._down = OUTPUT_RATE // common, rate // common
        self._tail: NDArray[np.float32] | None = None  # (n, channels), from _first on
        self._first = 1 - HALF  # input sample that _tail begins with
        self._made = 0  # output samples so far

    def __call__(self, samples: NDArray[np.int16]) -> Stereo:
        """Takes ``(n, 1 or 2)`` at ``rate`` and gives all that can be made by now, ``(m, 2)``."""
        if self._up == self._down:
            return _stereo(samples)
        if self._tail is None:
            self._tail = np.zeros((HALF - 1, samples.shape[1]), np.float32)
        tail = np.concatenate([self._tail, samples.astype(np.float32)])
        known = self._first + len(tail) - HALF  # input samples that have HALF later ones
        count = max(0, -(-known * self._up // self._down) - self._made)
        if not count:
            self._tail = tail
            return np.zeros((0, 2), np.int16)
        moments = (self._made + np.arange(count)) * self._down
        starts = moments // self._up - self._first - HALF + 1
        windows = sliding_window_view(tail, 2 * HALF, axis=0)[starts]  # (m, channels, 2 HALF)
        out = np.einsum("mct,mt->mc", windows, _kernels(self._up)[moments % self._up])
        self._made += count
        spare = max(0, self._made * self._down // self._up - HALF + 1 - self._first)
        self._tail, self._first = tail[spare:], self._first + spare
        return _stereo(np.clip(np.rint(out), -32768, 32767).astype(np.int16))

    def flush(self) -> Stereo:
        """Gives what was held back, as if silence followed."""
        if self._tail is None:
            return np.zeros((0, 2), np.int16)
        return self(np.zeros((HALF, self._tail.shape[1]), np.int16))


class Downsampler:
    """Converts 48 kHz stereo to the model's 16 kHz mono. Output sample n is of the moment of input sample 3 n.

    Where the sides cancel in their mean, the louder one is heard.
    """

    def __init__(self) -> None:
        self._guard = MixGuard(OUTPUT_RATE)
        self._tail = np.zeros(_TAPS - 1, np.float32)
        self._ahead = _TAPS // 2 // _STEP  # outputs before the first input: the filter's own delay

    def __call__(self, samples: Stereo) -> NDArray[np.float32]:
        """Takes ``(3 n, 2)`` and gives ``(n,)`` in -1..1; the first call gives 16 fewer."""
        sides = samples.T.astype(np.float32) / np.float32(32768)
        mono = self._guard.choose(sides, sides.mean(axis=0))
        joined = np.concatenate([self._tail, mono])
        self._tail = joined[-(_TAPS - 1) :]
        out = np.convolve(joined, _low_pass(), "valid")[::_STEP]
        skipped = min(self._ahead, len(out))
        self._ahead -= skipped
        return out[skipped:]

    def clear(self) -> None:
        """Replaces all input so far by silence (barge-in)."""
        self._tail[:] = 0


def _stereo(samples: NDArray[np.int16]) -> Stereo:
    return np.repeat(samples, 2, axis=1) if samples.shape[1] == 1 else samples


@cache
def _kernels(up: int) -> NDArray[np.float32]:
    """One Blackman-windowed sinc for each phase, ``(up, 2 HALF)``; each sums to 1."""
    places = np.arange(1 - HALF, HALF + 1)[None] - np.arange(up)[:, None] / up
    window = 0.42 + 0.5 * np.cos(np.pi * places / HALF) + 0.08 * np.cos(2 * np.pi * places / HALF)
    kernels = np.sinc(_CUTOFF * places) * np.where(np.abs(places) < HALF, window, 0)
    return np.asarray(kernels / kernels.sum(axis=1, keepdims=True), np.float32)


@cache
def _low_pass() -> NDArray[np.float32]:
    """The downsampler's Blackman-windowed sinc, ``(_TAPS,)``. Sums to 1."""
    places = np.arange(_TAPS) - _TAPS // 2
    kernel = np.sinc(2 * _PASS / OUTPUT_RATE * places) * np.blackman(_TAPS)
    return np.asarray(kernel / kernel.sum(), np.float32)
