"""Notices how a publisher's encoder is set, where that makes its pictures late. Sans-IO."""

from __future__ import annotations

from typing import Literal

RATE = 90_000
"""Timestamps a second (RFC 3551)."""

LONG_INTERVAL = 4 * RATE
"""Time between two keyframes beyond which a picture that was lost is missed for too long: streaming services ask for
2 s, and players of what is recorded or pushed wait for them."""

SAME_INTERVAL = RATE // 5
"""By how much two intervals of an encoder that makes keyframes at a fixed one may differ."""

ANSWER_WAIT = 3 * RATE
"""How long a sender may take to answer a request for a keyframe (RFC 4585, 6.3.1)."""

MOST_REORDERED = 3
"""Pictures out of order until it is taken for the encoder's choice."""

Habit = Literal["b_frames", "keyframe_interval"]

ADVICE: dict[Habit, str] = {
    "b_frames": "pictures come out of order, which makes all of them late: set B-frames to 0 (OBS: Settings, Output, "
    "Max B-frames 0 or Tune zerolatency; FFmpeg: -bf 0; GStreamer: x264enc bframes=0)",
    "keyframe_interval": "keyframes come too seldom, so that a lost picture is missed for seconds: set Keyframe "
    "Interval to 1 s (OBS: Settings, Output; FFmpeg: -g 25 at 25 fps; GStreamer: x264enc key-int-max=25)",
}
"""Advice on what to set, by habit."""


class EncoderHabits:
    """Watches the frames of one sender as they come, in the order in which they are decoded. Each habit is told once.

    Senders that make keyframes when they are asked to, as browsers do, may leave any time between them: what counts is
    a fixed long interval, or a request that is not answered.
    """

    def __init__(self) -> None:
        self._told: set[Habit] = set()
        self._newest: int | None = None
        self._reordered = 0
        self._key: int | None = None  # timestamp of the last keyframe
        self._interval: int | None = None  # between the two before it, where nobody had asked
        self._asked: int | None = None  # the first picture that came after a request

    def frame(self, timestamp: int, *, key: bool, asked: bool) -> Habit | None:
        """Takes a frame; ``timestamp``: without the wrap at 2^32, ``asked``: a keyframe was asked for and none has come
        since. Returns the habit that it shows, where that was not told before."""
        if self._newest is not None and timestamp < self._newest:
            self._reordered += 1
        self._newest = timestamp if self._newest is None else max(self._newest, timestamp)
        if asked and self._asked is None:
            self._asked = timestamp
        seldom = self._takes_key(timestamp) if key else self._is_unanswered(timestamp)
        if seldom:
            return self._tell("keyframe_interval")
        return self._tell("b_frames") if self._reordered >= MOST_REORDERED else None

    def _is_unanswered(self, timestamp: int) -> bool:
        return self._asked is not None and timestamp - self._asked > ANSWER_WAIT

    def _takes_key(self, timestamp: int) -> bool:
        """Takes a keyframe; says whether it is one of those that come at a long fixed interval."""
        interval = None if self._key is None or self._asked is not None else timestamp - self._key
        before, self._interval = self._interval, interval
        self._key, self._asked = timestamp, None
        if interval is None or before is None:
            return False
        return min(interval, before) > LONG_INTERVAL and abs(interval - before) < SAME_INTERVAL

    def _tell(self, habit: Habit) -> Habit | None:
        if habit in self._told:
            return None
        self._told.add(habit)
        return habit
