"""Interpolates the mouth between motion frames: pictures come at whatever rate they were filmed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.stream import MotionFrame


class MotionCurve:
    """Holds motion frames that no picture has passed yet, plus the one before. Moments are asked for in order."""

    def __init__(self) -> None:
        self._frames: deque[MotionFrame] = deque()

    def extend(self, frames: Iterable[MotionFrame]) -> None:
        """Adds the next frames, in order; numbers may be left out where the model failed."""
        self._frames.extend(frames)

    def forget_from(self, at: int) -> None:
        """Drops frames from media time ``at`` on: others will come."""
        while self._frames and self._frames[-1].index * FRAME_SAMPLES >= at:
            self._frames.pop()

    def shape_at(self, at: int, emitted: int) -> NDArray[np.float32] | None:
        """Returns the lower face at media time ``at``, canonical ``(169, 3)``; None before the first frame and where
        the model failed.

        ``emitted``: motion frames that have been made.
        """
        while len(self._frames) >= 2 and self._frames[1].index * FRAME_SAMPLES <= at:
            self._frames.popleft()
        if not self._frames or self._frames[0].index * FRAME_SAMPLES > at:
            return None
        before = self._frames[0]
        if before.index < at // FRAME_SAMPLES < emitted:
            return None
        if len(self._frames) < 2 or self._frames[1].index != before.index + 1:
            return before.lower
        share = np.float32((at - before.index * FRAME_SAMPLES) / FRAME_SAMPLES)
        return np.asarray(before.lower + share * (self._frames[1].lower - before.lower), np.float32)

    @property
    def rest(self) -> NDArray[np.float32]:
        """Returns the rest shape ``(169, 3)`` of whom the last ``shape_at`` found."""
        return self._frames[0].rest

    def voice_at(self, at: int) -> float:
        """Returns how far somebody speaks at media time ``at``, 0..1; call ``shape_at`` first, which must have found
        a shape."""
        before, after = self._frames[0], self._frames[min(1, len(self._frames) - 1)]
        share = min(1.0, (at - before.index * FRAME_SAMPLES) / FRAME_SAMPLES)
        return before.voice + share * (after.voice - before.voice)
