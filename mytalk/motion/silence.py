"""When nobody speaks: a level gate with hysteresis, so that the mouth rests in silence and does not twitch in noise."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

ABOVE_FLOOR = 9.0  # dB over the noise floor that count as speech
BELOW_PEAK = 26.0  # dB under the loudest speech of late that no longer do
QUIETEST, LOUDEST_FLOOR = -75.0, -42.0  # dB of full scale between which the floor may lie
RISE = 0.06  # dB a frame by which the floor climbs towards noise
STEADY, STEADY_DB = 40, 1.8  # frames, and a standard deviation of their levels under which they are noise: speech over
# as much noise has 2.2, and mostly 4 to 8
FALL = 0.08  # dB a frame by which the peak is forgotten
QUIETEST_PEAK = -38.0
USUAL_PEAK = -22.0  # dB of full scale: speech, until some has been heard; a room before it is not taken for speech
ANTICIPATION = 2  # frames before speech from which the mouth may move: lips lead the sound
HOLD = 7  # frames after the last loud one in which the mouth may still move
RESTED = 2  # frames at rest that are no pause for breath: lips stay together until the sound is there
FIRST_RESTED = 8  # the same before anything was heard: a recording may begin within a sentence
OPENING, CLOSING = 1.0, 0.5  # of the way a frame


@dataclass(slots=True)
class SilenceGate:
    """Turns levels in dB into a share 0..1 of motion to keep, one a motion frame, in order."""

    floor: float = -60.0
    peak: float = USUAL_PEAK
    share: float = 0.0
    spoken: bool = False  # whether anything was heard so far
    ready: bool = False  # whether the mouth leaves a long rest for speech that comes, and none is heard yet
    _levels: deque[float] = field(default_factory=lambda: deque(maxlen=STEADY))
    _rested: int = 0  # frames at rest without a break
    _loud: deque[bool] = field(default_factory=deque)  # HOLD frames before the next one at most, and all after it
    _behind: int = 0  # of these, frames before the next one

    def hear(self, levels: NDArray[np.float32]) -> None:
        """Levels of the next frames."""
        for level in levels.tolist():
            self._levels.append(level)
            steady = len(self._levels) == STEADY and np.std(self._levels) < STEADY_DB
            risen = (
                max(self.floor, min(self._levels)) if steady else min(self.floor + RISE, max(self.floor, LOUDEST_FLOOR))
            )
            self.floor = max(QUIETEST, min(risen, level))
            self.peak = max(self.peak - FALL, level, QUIETEST_PEAK)
            self._loud.append(level > max(self.floor + ABOVE_FLOOR, self.peak - BELOW_PEAK))

    def next(self, lookahead: int) -> float:
        """The share of the next frame; speech within ``lookahead`` frames opens already."""
        window = list(islice(self._loud, self._behind + 1 + lookahead))
        loud, heard = any(window), any(window[: self._behind + 1])
        self._rested = self._rested + 1 if self.share == 0 else 0
        rested = self._rested >= (RESTED if self.spoken else FIRST_RESTED)
        self.ready = loud and not heard and (self.ready or rested)
        self.spoken = self.spoken or heard
        self.share += float(np.clip((1.0 if loud else 0.0) - self.share, -CLOSING, OPENING))
        if self._behind == HOLD:
            self._loud.popleft()
        else:
            self._behind += 1
        return self.share

    def forget(self) -> None:
        """Barge-in: what has been heard but not shown is gone."""
        while len(self._loud) > self._behind:
            self._loud.pop()
