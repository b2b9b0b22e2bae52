"""Detects silence by a gate with hysteresis, so that the mouth rests in silence and does not twitch in noise.

It decides by level, and by the voice of a `mytalk.speech.readout`, where there is one: loud noise is not speech if the
readout is sure of it, and a quiet voice is. Music lies between the two, and never gets as near to a voice as speech
does several times a second: the mouth stops moving to sound that does not, and never begins before a voice was heard.

Pauses within speech are no silence. People breathe in and get ready in them, lips apart, and speech features tell how
far; the mouth rests in long pauses alone, as soon as one is known to be long.
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
FIRST_PROOF = 0.75  # the same until a voice was heard: speech mostly reaches it at once, plucked strings never do
UNPROVEN_FRAMES = 30  # frames that may pass for speech without such a voice: then they do no longer
FIRST_UNPROVEN_FRAMES = 1  # frames that may pass for speech before the first proof
MIN_FLOOR, MAX_FLOOR = -75.0, -42.0  # dB of full scale between which the noise floor may lie
FLOOR_RISE = 0.06  # dB a frame by which the floor climbs towards noise
NOISE_FRAMES = 40  # frames over which the spread of levels tells noise from speech
NOISE_SPREAD = (
    1.8  # dB, standard deviation of levels under which they are noise: speech in noise has 2.2, mostly 4 to 8
)
PEAK_FALL = 0.08  # dB a frame by which the peak is forgotten
MIN_PEAK = -38.0  # dB of full scale
INITIAL_PEAK = -22.0  # dB of full scale, until speech was heard: a room before it is not taken for speech
ANTICIPATION_FRAMES = 5  # frames before speech from which the mouth may move: lips lead the sound
LONG_PAUSE_FRAMES = 18  # frames without speech that are a silence: in shorter pauses mouths move on
HOLD_FRAMES = 8  # frames after speech in which the mouth may still move, whatever pause is known to follow
OPENING_RATE, CLOSING_RATE = 1.0, 0.2  # greatest change of the share in one frame
FIRST_OPENING_RATE = 0.2  # the same until a voice was heard


@dataclass(slots=True)
class _Moment:
    """Holds one motion frame's decisions."""

    loud: bool
    audible: bool  # loud enough for what is surely a voice
    noise: bool  # as loud as all frames before it
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
    heard: bool = False  # whether a voice was heard so far; true at once where no readout tells voices
    _levels: deque[float] = field(default_factory=lambda: deque(maxlen=NOISE_FRAMES))
    _paused: int = LONG_PAUSE_FRAMES  # frames since speech
    _unproven: int = 0  # frames taken for speech since a voice was surely one
    _moments: deque[_Moment] = field(default_factory=deque)  # from the next one on
    _received: int = 0  # frames

    def push_levels(self, levels: NDArray[np.float32]) -> None:
        """Takes the levels of the next frames, dB of full scale."""
        for level in levels.tolist():
            self._levels.append(level)
            is_noise = len(self._levels) == NOISE_FRAMES and np.std(self._levels) < NOISE_SPREAD
            limit = max(self.floor, MAX_FLOOR)
            risen = max(self.floor, min(self._levels)) if is_noise else min(self.floor + FLOOR_RISE, limit)
            self.floor = max(MIN_FLOOR, min(risen, level))
            self.peak = max(self.peak - PEAK_FALL, level, MIN_PEAK)
            loud = level > max(self.floor + ABOVE_FLOOR, self.peak - BELOW_PEAK)
            self._moments.append(_Moment(loud, level > self.peak - FAINT_BELOW_PEAK, bool(is_noise)))
            self._received += 1

    def set_voice(self, end: int, voice: NDArray[np.float32]) -> None:
        """Takes a readout's voice of the frames before frame ``end``; the latest value of a frame counts."""
        first = self._received - len(self._moments)
        for index, confidence in enumerate(voice.tolist(), end - len(voice)):
            if index >= first:
                self._moments[index - first].voice = confidence

    def next(self, lookahead: int) -> float:
        """Returns the share of the next frame, knowing ``lookahead`` frames after it.

        The mouth opens to speech within `ANTICIPATION_FRAMES` of them. It closes as soon as `LONG_PAUSE_FRAMES` without
        speech are known: a file's pause from its beginning, a live one's when most of it has gone by.
        """
        ahead = list(islice(self._moments, 1 + lookahead))
        proven = self._count_unproven() <= (UNPROVEN_FRAMES if self.heard else FIRST_UNPROVEN_FRAMES)
        until = next((index for index, one in enumerate(ahead) if one.spoken or one.faint), None) if proven else None
        if until == 0:
            self._paused = 0
        elif ahead[0].noise or not proven:
            self._paused = LONG_PAUSE_FRAMES  # what passed for speech before it was none
        else:
            self._paused = min(self._paused + 1, LONG_PAUSE_FRAMES)
        is_coming = until is not None and until <= ANTICIPATION_FRAMES
        is_long = self._paused + (lookahead if until is None else until - 1) >= LONG_PAUSE_FRAMES
        is_open = is_coming or self._paused <= HOLD_FRAMES or not is_long
        rate = OPENING_RATE if self.heard else FIRST_OPENING_RATE
        self.share += float(np.clip(float(is_open) - self.share, -CLOSING_RATE, rate))
        self._moments.popleft()
        return self.share

    def _count_unproven(self) -> int:
        """Counts the frames up to the next one that pass for speech, since one that surely was or will be."""
        now, *later = islice(self._moments, UNPROVEN_FRAMES)
        if max(moment.voice for moment in (now, *later)) > (PROOF if self.heard else FIRST_PROOF):
            self._unproven, self.heard = 0, True
        elif now.voice == 0:
            self.heard = True
        elif now.spoken or now.faint:
            self._unproven += 1
        return self._unproven
