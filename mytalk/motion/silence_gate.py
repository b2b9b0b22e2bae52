"""When nobody speaks: a gate with hysteresis, so that the mouth rests in silence and does not twitch in noise.

It goes by level, and by what a `mytalk.speech.readout` says, where there is one: loud is not spoken if that is sure of
it, and a quiet voice is heard.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

ABOVE_FLOOR = 9.0  # dB over the noise floor that count as speech
BELOW_PEAK = 26.0  # dB under the loudest speech of late that no longer do
FAINT = 34.0  # the same for what is surely a voice
VOICE, NO_VOICE = 0.5, -0.5  # of a readout: above and below them it is sure
QUIETEST, LOUDEST_FLOOR = -75.0, -42.0  # dB of full scale between which the floor may lie
RISE = 0.06  # dB a frame by which the floor climbs towards noise
STEADY, STEADY_DB = 40, 1.8  # frames, and a standard deviation of their levels under which they are noise: speech over
# as much noise has 2.2, and mostly 4 to 8
FALL = 0.08  # dB a frame by which the peak is forgotten
QUIETEST_PEAK = -38.0
USUAL_PEAK = -22.0  # dB of full scale: speech, until some has been heard; a room before it is not taken for speech
ANTICIPATION = 2  # frames before speech from which the mouth may move: lips lead the sound
HOLD = 7  # frames after the last loud one in which the mouth may still move
FAINT_HOLD = 3  # the same after one that is but faintly heard
RESTED = 1  # frames at rest after which lips stay together until the sound is there
FIRST_RESTED = 8  # the same before anything was heard: a recording may begin within a sentence
OPENING, CLOSING = 1.0, 0.5  # of the way a frame


@dataclass(slots=True)
class _Moment:
    """One motion frame of what was heard."""

    loud: bool
    audible: bool  # loud enough for what is surely a voice
    voice: float = 0.0  # what was told of it last

    @property
    def spoken(self) -> bool:
        return self.loud and self.voice > NO_VOICE

    @property
    def faint(self) -> bool:
        return self.audible and self.voice > VOICE


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
    _moments: deque[_Moment] = field(default_factory=deque)  # HOLD before the next one at most, and all after it
    _heard: int = 0  # frames
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
            above = self.floor + ABOVE_FLOOR
            self._moments.append(_Moment(level > max(above, self.peak - BELOW_PEAK), level > self.peak - FAINT))
            self._heard += 1

    def tell(self, end: int, voice: NDArray[np.float32]) -> None:
        """What a readout says of the frames before frame ``end``, of those heard: of each, the last time counts."""
        first = self._heard - len(self._moments)
        for index, sure in enumerate(voice.tolist(), end - len(voice)):
            if index >= first:
                self._moments[index - first].voice = sure

    def next(self, lookahead: int) -> float:
        """The share of the next frame; speech within ``lookahead`` frames opens already."""
        around = list(islice(self._moments, self._behind + 1 + lookahead))
        until_now = around[: self._behind + 1]
        faint = any(moment.faint for moment in until_now[-1 - FAINT_HOLD :])
        heard = faint or any(moment.spoken for moment in until_now)
        loud = heard or any(moment.spoken for moment in around)
        self._rested = self._rested + 1 if self.share == 0 else 0
        rested = self._rested >= (RESTED if self.spoken else FIRST_RESTED)
        self.ready = loud and not heard and (self.ready or rested)
        self.spoken = self.spoken or heard
        self.share += float(np.clip((1.0 if loud else 0.0) - self.share, -CLOSING, OPENING))
        if self._behind == HOLD:
            self._moments.popleft()
        else:
            self._behind += 1
        return self.share
