"""Makes speech 20 ms longer or shorter where it is hard to notice, because two clocks drift. Sans-IO.

A chunk that is put in begins as the chunk after it does and ends as the one before it did; two that become one begin as
the first and end as the second. Each is a crossfade over its whole length, so no sample steps further than speech does.
"""

from __future__ import annotations

import numpy as np

from streamer.clock import SECOND_NS
from streamer.media.audio import CHUNK, Stereo

PAUSE_WAIT = 4 * SECOND_NS
"""Nanoseconds to wait for a pause, or for a steady vowel. A drift of 200 ppm makes 0.8 ms in that time."""

_QUIET = 300  # of 65 536: the largest peak-to-peak value of a pause
_ALIKE = 0.8  # correlation of two chunks that can stand for each other

_FALL = ((1 + np.cos(np.pi * (np.arange(CHUNK, dtype=np.float32) + 0.5) / CHUNK)) / 2)[:, None].astype(np.float32)


class ChunkBalance:
    """Counts the chunks that are still to be put into a track (above 0) or taken out of it (below 0)."""

    def __init__(self) -> None:
        self.due = 0
        self.done = 0  # chunks put in and taken out
        self._since: int | None = None

    def request(self, chunks: int, now: int) -> None:
        """Adds ``chunks`` to what is due."""
        self.due += chunks
        self._since = now if self.due else None

    def is_time(self, before: Stereo, after: Stereo, now: int) -> bool:
        """Tells whether one may be put in or taken out here: in a pause, a steady vowel, or after too long a wait."""
        if not self.due or self._since is None:
            return False
        return now - self._since > PAUSE_WAIT or _is_calm(before, after)

    def settle(self, chunks: int, now: int) -> None:
        """Notes that ``chunks`` were put in (or, below 0, taken out)."""
        self.due -= chunks
        self.done += abs(chunks)
        self._since = now if self.due else None


def between(before: Stereo, after: Stereo) -> Stereo:
    """Makes a chunk to be put between two, all ``(960, 2)``."""
    return _faded(after, before)


def joined(first: Stereo, second: Stereo) -> Stereo:
    """Makes one chunk of two."""
    return _faded(first, second)


def _faded(one: Stereo, other: Stereo) -> Stereo:
    return np.asarray(np.rint(other + (one.astype(np.float32) - other) * _FALL), np.int16)


def _is_calm(before: Stereo, after: Stereo) -> bool:
    if max(np.ptp(before), np.ptp(after)) < _QUIET:
        return True
    a, b = before.mean(axis=1), after.mean(axis=1)
    power = float(np.sqrt((a @ a) * (b @ b)))
    return power > 0 and float(a @ b) / power > _ALIKE
