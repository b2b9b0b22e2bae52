"""Mixes the channels of a sound to one for the model, so that no voice is lost between channels that cancel."""

from __future__ import annotations

import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from mytalk.media.samples import to_frame

CANCELLED = 0.05
"""Share of the channels' mean power that their mix must keep; below it (-13 dB) the channels cancel each other."""

_HALF_LIFE = 1.0  # seconds after which what was heard counts half: a film's sound may cancel in one scene only
_SILENCE = 1e-10  # mean power, full scale 1 (-100 dB), in which nothing can cancel


class MixGuard:
    """Gives the loudest channel in place of a mix in which the channels cancel, as of a microphone with one side turned
    over; ``cancelled`` says whether that was so. Blocks come in order."""

    def __init__(self, rate: int) -> None:
        self.cancelled = False
        self._rate = rate
        self._powers: NDArray[np.float64] | None = None  # by channel, what was heard lately counting most
        self._mixed_power = 0.0

    def choose(self, block: NDArray[np.float32], mixed: NDArray[np.float32]) -> NDArray[np.float32]:
        """Takes the channels ``(channels, n)`` and their mix ``(n,)``, full scale 1; returns what to hear, ``(n,)``."""
        old = 0.5 ** (block.shape[1] / self._rate / _HALF_LIFE)
        powers = np.square(block, dtype=np.float64).sum(axis=1)
        self._powers = powers if self._powers is None else old * self._powers + powers
        self._mixed_power = old * self._mixed_power + float(np.square(mixed, dtype=np.float64).sum())
        quiet = float(powers.mean()) < _SILENCE * block.shape[1]
        if quiet or self._mixed_power >= CANCELLED * float(self._powers.mean()):
            return mixed
        self.cancelled = True
        return np.asarray(block[int(np.argmax(self._powers))], np.float32)


class MonoMixer:
    """Mixes the blocks of one sound, in order, weighted so that none can overflow.

    Where the channels cancel in the mix, the loudest channel is taken instead; ``cancelled`` says whether that was so.
    """

    def __init__(self, rate: int, layout: str) -> None:
        self._rate = rate
        self._layout = layout
        self._mix = AudioResampler("flt", "mono", rate, options={"rematrix_maxval": "1.0"})
        self._position = 0  # samples mixed so far
        self._guard = MixGuard(rate)

    @property
    def cancelled(self) -> bool:
        """Whether the channels cancelled each other anywhere."""
        return self._guard.cancelled

    def mix(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mixes ``(channels, n)`` to ``(n,)``."""
        if len(block) == 1:
            return np.asarray(block[0], np.float32)
        frames = self._mix.resample(to_frame(block, self._rate, self._layout, self._position))
        mixed = np.concatenate([np.asarray(frame.to_ndarray()[0], np.float32) for frame in frames])
        self._position += block.shape[1]
        return self._guard.choose(block, mixed)
