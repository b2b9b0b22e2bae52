"""Speech made 20 ms longer or shorter where nobody hears it, because two clocks drift apart. Sans-IO.

A chunk that is put in begins as the chunk after it does and ends as the one before it did; two that become one begin as
the first and end as the second. Each is a crossfade over its whole length, so no sample steps further than speech does.
"""

from __future__ import annotations

import numpy as np

from streamer.clock import SECOND_NS
from streamer.media.audio import CHUNK, Stereo

PATIENCE = 4 * SECOND_NS
"""How long a pause is waited for, or a vowel that lasts. 200 ppm are 0.8 ms in that time."""

_QUIET = 300  # of 65 536: from peak to peak, what a pause may sound of
_ALIKE = 0.8  # correlation of two chunks that can stand for each other

_FALL = ((1 + np.cos(np.pi * (np.arange(CHUNK, dtype=np.float32) + 0.5) / CHUNK)) / 2)[:, None].astype(np.float32)


class Stretch:
    """What a track still owes its timeline, in chunks: to be put in where it is above 0, to be taken out below."""

    def __init__(self) -> None:
        self.owed = 0
        self.done = 0  # chunks put in and taken out
        self._since: int | None = None

    def owe(self, chunks: int, now: int) -> None:
        """So many more."""
        self.owed += chunks
        self._since = now if self.owed else None

    def may(self, before: Stereo, after: Stereo, now: int) -> bool:
        """Whether now is the time for one of them, between two chunks."""
        if not self.owed or self._since is None:
            return False
        return now - self._since > PATIENCE or _is_calm(before, after)

    def paid(self, chunks: int, now: int) -> None:
        """So many were put in (or, below 0, taken out)."""
        self.owed -= chunks
        self.done += abs(chunks)
        self._since = now if self.owed else None


def between(before: Stereo, after: Stereo) -> Stereo:
    """A chunk to be put between two, all ``(960, 2)``."""
    return _faded(after, before)


def joined(first: Stereo, second: Stereo) -> Stereo:
    """One chunk in the place of two."""
    return _faded(first, second)


def _faded(one: Stereo, other: Stereo) -> Stereo:
    return np.asarray(np.rint(other + (one.astype(np.float32) - other) * _FALL), np.int16)


def _is_calm(before: Stereo, after: Stereo) -> bool:
    if max(np.ptp(before), np.ptp(after)) < _QUIET:
        return True
    a, b = before.mean(axis=1), after.mean(axis=1)
    power = float(np.sqrt((a @ a) * (b @ b)))
    return power > 0 and float(a @ b) / power > _ALIKE
