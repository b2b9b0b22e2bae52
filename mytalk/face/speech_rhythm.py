"""Moves a portrait's head by the rhythm of its speech: it dips where a syllable is stressed, and turns where a phrase
begins.

Heads dip with loudness, some tenths of a second wide (Munhall et al. 2004; Graf et al. 2002). The rule works on the
level of each motion frame, so that streamed and offline come out alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytalk.face.head_turn import STRAIGHT, Turn
from mytalk.media_time import FRAME_SAMPLES, MOTION_RATE

BEAT_PITCH = 3.5
"""Degrees that the head dips at a stressed syllable that comes out of a pause."""

PHRASE_TURN = Turn(yaw=2.5, pitch=0.8, roll=1.2)
"""Degrees to either side that a phrase is spoken to at most."""

PHRASE_BROWS = 0.5
"""Share of their way that brows rise at most where a phrase begins."""

LOOKAHEAD = 1
"""Motion frames after a moment that its pose depends on; every profile of a stream has heard them by then."""

MAX_FRAMES = 64
"""Motion frames before the last moment asked for that are kept: a barge-in goes back to one of them."""

_RANGE_DB = 30.0  # dB below the loudest of late, from which on sound is silence
_QUIETEST_DB = -55.0  # dB of full scale below which nothing is the loudest
_PEAK_FALL_DB = 3.0  # dB a second that the loudest of late falls
_FAST, _SLOW = 0.08, 0.6  # seconds of the two means of loudness whose difference is stress
_PHRASE_PAUSE = 0.3  # seconds of silence after which a phrase begins
_REST_PAUSE = 2.0  # seconds of silence after which the head goes back
_BROW_SECONDS = 0.6  # from the beginning of a phrase, for which brows are raised
_BEAT_HZ, _TURN_HZ = 1.6, 0.45  # of the critically damped springs that the head follows by
_SPOKEN = 0.15  # loudness from which on somebody speaks
_SILENT_DB = -100.0


@dataclass(frozen=True, slots=True)
class RhythmPose:
    """Says what the rhythm of speech does to a head: how it turns, and how far the brows are raised, 0..1."""

    turn: Turn = STRAIGHT
    brows: float = 0.0


QUIET = RhythmPose()
"""Pose of silence: the head's own."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """Holds what goes from one motion frame to the next."""

    peak: float = _QUIETEST_DB
    fast: float = 0.0
    slow: float = 0.0
    pause: int = MOTION_RATE  # frames since somebody spoke
    spoken: int = 0  # frames since the phrase began
    goal: tuple[float, ...] = (0.0,) * 4  # yaw, pitch, roll and brows of the phrase
    at: tuple[float, ...] = (0.0,) * 5  # yaw, pitch, roll and brows, and the dip of the beat
    speed: tuple[float, ...] = (0.0,) * 5


class SpeechRhythm:
    """Holds one stream's head poses by its speech."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._first = 0  # motion frame of ``_frames[0]``
        self._frames = [_Frame()]  # [n] is after the levels of frame _first + n - 1

    def push(self, levels: NDArray[np.float32]) -> None:
        """Takes the levels of the next motion frames, dB of full scale."""
        for level in levels.tolist():
            self._frames.append(_next(self._frames[-1], level, self._first + len(self._frames) - 1, self._seed))

    def forget_from(self, at: int) -> None:
        """Forgets speech from media time ``at`` on: other speech comes."""
        keep = max(1, at // FRAME_SAMPLES - self._first + 1)
        del self._frames[keep:]

    def at(self, at: int) -> RhythmPose:
        """Returns the pose of the head at media time ``at``. Speech that has ended is followed by silence."""
        index, rest = divmod(at, FRAME_SAMPLES)
        missing = index + LOOKAHEAD + 2 - self._first - len(self._frames) + 1
        self.push(np.full(max(missing, 0), _SILENT_DB, np.float32))
        self._forget_before(index - MAX_FRAMES)
        one, other = (np.array(self._after(index + n).at) for n in (LOOKAHEAD, LOOKAHEAD + 1))
        yaw, pitch, roll, brows, dip = (one + rest / FRAME_SAMPLES * (other - one)).tolist()
        return RhythmPose(Turn(yaw, pitch - dip, roll), max(0.0, brows))

    def _after(self, index: int) -> _Frame:
        return self._frames[max(index - self._first + 1, 0)]

    def _forget_before(self, index: int) -> None:
        spare = index - self._first
        if spare > 0:
            del self._frames[:spare]
            self._first += spare


def _next(last: _Frame, level: float, index: int, seed: int) -> _Frame:
    """Returns the state after motion frame ``index`` of this level."""
    peak = max(level, last.peak - _PEAK_FALL_DB / MOTION_RATE, _QUIETEST_DB)
    loud = min(1.0, max(0.0, 1 - (peak - level) / _RANGE_DB)) if level > _QUIETEST_DB else 0.0
    fast = last.fast + (loud - last.fast) * min(1.0, 1 / (_FAST * MOTION_RATE))
    slow = last.slow + (loud - last.slow) / (_SLOW * MOTION_RATE)
    spoken = loud > _SPOKEN
    goal, begun = last.goal, last.spoken + 1
    if spoken and last.pause > _PHRASE_PAUSE * MOTION_RATE:
        goal, begun = _phrase(seed, index), 0
    elif last.pause > _REST_PAUSE * MOTION_RATE:
        goal = (0.0,) * 4
    brows = goal[3] if begun < _BROW_SECONDS * MOTION_RATE else 0.0
    beat = BEAT_PITCH * max(0.0, fast - slow)
    hertz = (_TURN_HZ, _TURN_HZ, _TURN_HZ, _BEAT_HZ, _BEAT_HZ)
    moved = [_spring(*one) for one in zip(last.at, last.speed, (*goal[:3], brows, beat), hertz, strict=True)]
    pause = 0 if spoken else last.pause + 1
    at, speed = tuple(one[0] for one in moved), tuple(one[1] for one in moved)
    return _Frame(peak, fast, slow, pause, begun, goal, at, speed)


def _phrase(seed: int, index: int) -> tuple[float, ...]:
    """Draws yaw, pitch, roll and brows of the phrase that begins at motion frame ``index``."""
    draw = np.random.Generator(np.random.Philox(key=seed, counter=(1 << 42) + index)).uniform(-1, 1, 4).tolist()
    turn = (draw[0] * PHRASE_TURN.yaw, draw[1] * PHRASE_TURN.pitch, draw[2] * PHRASE_TURN.roll)
    return (*turn, PHRASE_BROWS * max(0.0, draw[3]))


def _spring(at: float, speed: float, goal: float, hertz: float) -> tuple[float, float]:
    """Moves a critically damped spring on by one motion frame, exactly: place and speed."""
    rate, seconds = 2 * np.pi * hertz, 1 / MOTION_RATE
    away, fall = at - goal, float(np.exp(-rate * seconds))
    push = speed + rate * away
    return goal + (away + push * seconds) * fall, (speed - rate * push * seconds) * fall
