"""Detects silence by a gate with hysteresis, so that the mouth rests in silence and does not twitch in noise.

It decides by level, and by the voice of a `mytalk.speech.readout`, where there is one: loud noise is not speech if the
readout is sure of it, and a quiet voice is. Music lies between the two, and never gets as near to a voice as speech
does several times a second: the mouth stops moving to sound that does not.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

ABOVE_FLOOR = 9.0  # dB over the noise floor that count as speech
BELOW_PEAK = 26.0  # dB under the loudest recent speech that no longer do
FAINT_BELOW_PEAK = 34.0  # the same for what is surely a voice
VOICE, NO_VOICE = 0.5, -0.5  # voice of a readout above and below which it is sure
PROOF = 0.85  # voice of a readout that speech alone reaches, and within UNPROVEN_FRAMES does
UNPROVEN_FRAMES = 30  # frames that may pass for speech without such a voice: then they do no longer
MIN_FLOOR, MAX_FLOOR = -75.0, -42.0  # dB of full scale between which the noise floor may lie
FLOOR_RISE = 0.06  # dB a frame by which the floor climbs towards noise
NOISE_FRAMES = 40  # frames over which the spread of levels tells noise from speech
NOISE_SPREAD = (
    1.8  # dB, standard deviation of levels under which they are noise: speech in noise has 2.2, mostly 4 to 8
)
PEAK_FALL = 0.08  # dB a frame by which the peak is forgotten
MIN_PEAK = -38.0  # dB of full scale
INITIAL_PEAK = -22.0  # dB of full scale, until speech was heard: a room before it is not taken for speech
ANTICIPATION_FRAMES = 2  # frames before speech from which the mouth may move: lips lead the sound
HOLD_FRAMES = 7  # frames after the last loud one in which the mouth may still move
FAINT_HOLD_FRAMES = 3  # the same after one that is faint
REST_FRAMES = 1  # frames at rest after which lips stay together until the sound is there
FIRST_REST_FRAMES = 8  # the same before anything was heard: a recording may begin within a sentence
OPENING_RATE, CLOSING_RATE = 1.0, 0.5  # greatest change of the share in one frame


@dataclass(slots=True)
class _Moment:
    """Holds one motion frame's decisions."""

    loud: bool
    audible: bool  # loud enough for what is surely a voice
    voice: float = 0.0  # the last value given; 0 where there is no readout, or none that learned voices

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
    peak: float = INITIAL_PEAK
    share: float = 0.0
    spoken: bool = False  # whether anything was heard so far
    ready: bool = False  # whether the mouth leaves a long rest for speech that comes, and none is heard yet
    _levels: deque[float] = field(default_factory=lambda: deque(maxlen=NOISE_FRAMES))
    _rested: int = 0  # frames at rest without a break
    _unproven: int = 0  # frames taken for speech since a voice was surely one
    _moments: deque[_Moment] = field(default_factory=deque)  # HOLD before the next one at most, and all after it
    _received: int = 0  # frames
    _behind: int = 0  # of these, frames before the next one

    def push_levels(self, levels: NDArray[np.float32]) -> None:
        """Takes the levels of the next frames, dB of full scale."""
        for level in levels.tolist():
            self._levels.append(level)
            is_noise = len(self._levels) == NOISE_FRAMES and np.std(self._levels) < NOISE_SPREAD
            limit = max(self.floor, MAX_FLOOR)
            risen = max(self.floor, min(self._levels)) if is_noise else min(self.floor + FLOOR_RISE, limit)
            self.floor = max(MIN_FLOOR, min(risen, level))
            self.peak = max(self.peak - PEAK_FALL, level, MIN_PEAK)
            above = self.floor + ABOVE_FLOOR
            self._moments.append(
                _Moment(level > max(above, self.peak - BELOW_PEAK), level > self.peak - FAINT_BELOW_PEAK)
            )
            self._received += 1

    def set_voice(self, end: int, voice: NDArray[np.float32]) -> None:
        """Takes a readout's voice of the frames before frame ``end``; the latest value of a frame counts."""
        first = self._received - len(self._moments)
        for index, confidence in enumerate(voice.tolist(), end - len(voice)):
            if index >= first:
                self._moments[index - first].voice = confidence

    def next(self, lookahead: int) -> float:
        """Returns the share of the next frame; speech within ``lookahead`` frames opens already."""
        window = list(islice(self._moments, self._behind + 1 + lookahead))
        until_now = window[: self._behind + 1]
        proven = self._count_unproven() <= UNPROVEN_FRAMES
        faint = proven and any(moment.faint for moment in until_now[-1 - FAINT_HOLD_FRAMES :])
        voiced = faint or (proven and any(moment.spoken for moment in until_now))
        loud = voiced or (proven and any(moment.spoken for moment in window))
        self._rested = self._rested + 1 if self.share == 0 else 0
        rested = self._rested >= (REST_FRAMES if self.spoken else FIRST_REST_FRAMES)
        self.ready = loud and not voiced and (self.ready or rested)
        self.spoken = self.spoken or voiced
        self.share += float(np.clip((1.0 if loud else 0.0) - self.share, -CLOSING_RATE, OPENING_RATE))
        if self._behind == HOLD_FRAMES:
            self._moments.popleft()
        else:
            self._behind += 1
        return self.share

    def _count_unproven(self) -> int:
        """Counts the frames up to the next one that pass for speech, since one that surely was or will be."""
        now, *later = islice(self._moments, self._behind, self._behind + UNPROVEN_FRAMES)
        if max(moment.voice for moment in (now, *later)) > PROOF:
            self._unproven = 0
        elif now.voice != 0 and (now.spoken or now.faint):
            self._unproven += 1
        return self._unproven
