"""Remembers final motion as the denoiser's blocks keep it, so that a window costs what its new frames cost.

Final frames are given clean and never look ahead, so what a block makes of one does not change any more: its key, its
value and what its convolution sees are computed once and kept. Later frames see a window of them, and as
many more are kept as a barge-in may take back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from mytalk.presets import MotionPreset

MAX_REWIND = 12
"""Motion frames that a barge-in can take back: pictures are made so much ahead of leaving."""

Array = Any
"""An array of numpy or a tensor, as the model that made it calculates."""


class Remembered(NamedTuple):
    """Holds what blocks keep of ``T`` frames; ``L`` layers, ``H`` heads of width ``D``, model width ``C``."""

    keys: Array  # (B, L, H, D, T)
    values: Array  # (B, L, H, T, D)
    convolved: Array  # (B, L, T, C): what convolutions see

    def of(self, row: int, frames: int) -> Remembered:
        """Returns the first ``frames`` of one session of a batch."""
        keys, values, convolved = (part[row : row + 1] for part in self)
        return Remembered(keys[..., :frames], values[..., :frames, :], convolved[:, :, :frames])


class Past(NamedTuple):
    """Holds what is remembered of the frames before a window's first row.

    Keys and values lie in a ring of ``P`` frames: that of frame ``f`` at place ``f % P``.
    """

    keys: Array  # (B, L, H, D, P)
    values: Array  # (B, L, H, P, D)
    convolved: Array  # (B, L, kernel - 1, C), of the last frames, oldest first
    end: Array  # (B,) frame number of the first row; one session's is an integer
    frames: Array  # (B,) frames before it that are remembered, without a gap; likewise


def past_shapes(preset: MotionPreset) -> tuple[tuple[int, ...], ...]:
    """Returns the shapes of one session's keys, values, and what its convolutions see of the past, without ``B``."""
    layers, heads, ring = preset.layers, preset.heads, preset.window + MAX_REWIND
    head = preset.width // heads
    return (layers, heads, head, ring), (layers, heads, ring, head), (layers, preset.kernel - 1, preset.width)


@dataclass(slots=True)
class MotionMemory:
    """Holds one session's remembered frames; bounded: frame ``f`` takes the place of frame ``f - P``."""

    keys: Array  # (1, L, H, D, P)
    values: Array  # (1, L, H, P, D)
    convolved: Array  # (1, L, 2 R, C): a ring of R frames that stands there twice, so that no stretch of it is cut
    end: int = 0  # frame number after the last one remembered
    frames: int = 0  # those before it that are remembered, without a gap
    _newest: int = 0  # frame number after the last that was ever remembered

    @classmethod
    def empty(cls, preset: MotionPreset, zeros: Callable[[tuple[int, ...]], Array]) -> MotionMemory:
        """Makes the memory of a new session, of arrays that ``zeros`` makes by their shapes."""
        keys, values, (layers, before, width) = past_shapes(preset)
        return cls(zeros((1, *keys)), zeros((1, *values)), zeros((1, layers, 2 * (before + MAX_REWIND), width)))

    def past(self, first: int) -> Past:
        """Returns what is remembered of the frames before frame ``first``; nothing where there is a gap before it.

        It shares memory with the rings, which `remember` alone changes.
        """
        ring = self.convolved.shape[2] // 2
        stop = first % ring + ring
        convolved = self.convolved[:, :, stop - (ring - MAX_REWIND) : stop]
        return Past(self.keys, self.values, convolved, first, self.frames if first == self.end else 0)

    def remember(self, first: int, frames: Remembered) -> None:
        """Takes the frames ``first``, ``first + 1``... of one session: those that follow what is remembered, or come
        after a gap."""
        self.frames = self.frames if first == self.end else 0
        count, ring, again = frames.keys.shape[-1], self.keys.shape[-1], self.convolved.shape[2] // 2
        for place, source in _spans(first, count, ring):
            self.keys[..., place], self.values[..., place, :] = frames.keys[..., source], frames.values[..., source, :]
        for place, source in _spans(first, count, again):
            twin = slice(place.start + again, place.stop + again)
            self.convolved[:, :, place] = self.convolved[:, :, twin] = frames.convolved[:, :, source]
        self.end, self.frames = first + count, min(self.frames + count, ring)
        self._newest = max(self._newest, self.end)

    def rewind(self, end: int) -> None:
        """Forgets frames from ``end`` on; all of them where that is more than :data:`MAX_REWIND` back, whose places
        others have taken."""
        back = max(0, self.end - end)
        self.end -= back
        self.frames = max(0, self.frames - back) if self._newest - self.end <= MAX_REWIND else 0


def _spans(first: int, count: int, length: int) -> list[tuple[slice, slice]]:
    """Cuts ``count`` frames from ``first`` on where a ring of ``length`` places ends: places, and which of the frames
    lie there, the older first."""
    spans = []
    done = 0
    while done < count:
        place = (first + done) % length
        part = min(count - done, length - place)
        spans.append((slice(place, place + part), slice(done, done + part)))
        done += part
    return spans
