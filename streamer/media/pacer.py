"""Releases sound and picture of equal media time together, one constant delay after that time happened. Sans-IO."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import takewhile

import numpy as np
from prometheus_client import Histogram

from mytalk.media_time import SAMPLE_RATE
from mytalk.picture import VideoFrame
from streamer.clock import MILLISECOND_NS, SAMPLE_NS, SECOND_NS
from streamer.media.audio import CHUNK_TIME, SpeechChunk

FOREVER = 1 << 62
"""A media time later than any other."""

MAX_DELAY = 2 * SAMPLE_RATE
"""Media time (2 s) that the delay never exceeds."""

REPEAT = SAMPLE_RATE // 2
"""Media time (500 ms) without a picture after which the last one leaves again, and then as often: viewers and servers
that take a push know from it that the stream goes on, and a keyframe that a viewer asks for need not wait."""

_SOUND_BOUND = 4 * 50  # chunks: 4 s. Full: the oldest chunk is dropped and counted; only a stopped loop gets there.
_PICTURE_BOUND = 4 * 60  # pictures: 4 s at 60 fps. Full: the oldest picture is dropped and counted.
_STALE = SECOND_NS // 10  # a picture overdue by more gives way to a newer one that is due too
_SILENT = SECOND_NS  # the engine has shown nothing for this long: the untouched pictures leave instead
_JUDGED = 50  # pictures that are looked at together when the delay is judged
_SLACK = 80 * MILLISECOND_NS  # to spare: the delay may shrink
_MOST_GROWTH = SAMPLE_RATE // 5  # of the delay at one judgement
_QUIET = 300  # of 65 536: the largest peak-to-peak value of a pause
_CHUNK_NS = CHUNK_TIME * SAMPLE_NS


@dataclass(slots=True)
class PacerCounts:
    """Counts a session's pictures by what happened to them."""

    on_time: int = 0
    late: int = 0  # left, but after their time
    overtaken: int = 0  # never left: a newer one had, or was due as well
    untouched: int = 0  # left as they came, because the engine was silent
    overflow: int = 0  # never left: too many waited, or a stall outlasted their time
    cleared: int = 0  # never left: a barge-in came before their time
    repeated: int = 0  # the last picture once more, while no other came


@dataclass(frozen=True, slots=True)
class Released:
    """Holds what leaves now, in order."""

    sounds: list[SpeechChunk] = field(default_factory=list)
    pictures: list[VideoFrame] = field(default_factory=list)


class Pacer:
    """Holds what is finished until its time: media time ``at`` leaves at ``origin + at + delay``.

    Sound always leaves on time. A picture that is late leaves as soon as it is there, unless a newer one has left.
    When half of 50 pictures are late, the delay grows to where nine in ten would have been in time, by 200 ms at most,
    as soon as the speech is silent: sound would break. When all of them had 80 ms to spare, it shrinks by 20 ms, down
    to what it was at first. No sound is lost either way.

    While no picture comes, because the camera stands still, the last one leaves again twice a second.
    """

    def __init__(self, origin: int, delay: int, skew: Histogram) -> None:
        self.counts = PacerCounts()
        self._skew = skew
        self._sound_late = 0  # ns: how long after its time the last sound left
        self._origin = origin
        self._delay = self._least = self._wanted = delay
        self._sounds: deque[SpeechChunk] = deque()
        self._pictures: deque[VideoFrame] = deque()
        self._expected: deque[VideoFrame] = deque()
        self._expected_until = -1  # media time of the newest picture that came
        self._last: VideoFrame | None = None  # that left
        self.untouched_before = 0  # media time before which pictures leave as they came
        self.played = 0  # media time up to which sound has left
        self._shown = -1  # media time of the last picture that left
        self._engine_delivered = origin  # ns: when the engine last delivered
        self._lateness: list[int] = []

    @property
    def delay(self) -> int:
        """Media time from a sample's arrival to its release."""
        return self._delay

    @property
    def waiting(self) -> tuple[int, int]:
        """Numbers of sound chunks and of pictures that wait."""
        return len(self._sounds), len(self._pictures)

    def sound(self, chunk: SpeechChunk) -> None:
        """Takes the next chunk of speech."""
        self._sounds.append(chunk)
        self._bound(self._sounds, _SOUND_BOUND)

    def expect(self, frame: VideoFrame) -> None:
        """Takes a picture as it came, in case the engine does not return it."""
        self._expected.append(frame)
        self._expected_until = frame.at
        self._bound(self._expected, _PICTURE_BOUND)

    def picture(self, frame: VideoFrame, now: int) -> None:
        """Takes a finished picture."""
        self._engine_delivered = now
        lateness = now - self._due(frame.at)
        self._judge(lateness)
        if frame.at <= self._shown:
            self.counts.overtaken += 1
            return
        if lateness > 0:
            self.counts.late += 1
        else:
            self.counts.on_time += 1
        self._pictures.append(frame)
        self._bound(self._pictures, _PICTURE_BOUND)

    @property
    def unshown_from(self) -> int:
        """Media time from which pictures have not left."""
        return self._shown + 1

    def clear(self) -> None:
        """Turns the sounds that wait into silence at a barge-in, and drops the pictures: those are to come again."""
        self._sounds = deque(chunk.silenced() for chunk in self._sounds)
        self.counts.cleared += len(self._pictures)
        self._pictures.clear()

    def skip_to(self, now: int) -> None:
        """Goes on at ``now`` after a stall: drops what should have left before. The delay stays as it was."""
        sounds, pictures = self._count_due(self._sounds, now), self._count_due(self._pictures, now)
        for queue, due in (self._sounds, sounds), (self._pictures, pictures):
            for _ in range(due):
                queue.popleft()
        self.counts.overflow += pictures
        for _ in range(self._count_due(self._expected, now)):
            self._expected.popleft()
        self._lateness.clear()
        self._wanted = self._delay
        self._engine_delivered = now

    def next_due(self) -> int | None:
        """Gives the moment (ns) at which something leaves next, or None while nothing waits."""
        ats = [queue[0].at for queue in (self._sounds, self._pictures) if queue]
        if self._expected and self._expected[0].at < self.untouched_before:
            ats.append(self._expected[0].at)
        return self._due(min(ats)) if ats else None

    def release(self, now: int) -> Released:
        """Gives everything whose time has come."""
        self._grow()
        sounds = [self._sounds.popleft() for _ in range(self._count_due(self._sounds, now))]
        pictures = [self._pictures.popleft() for _ in range(self._count_due(self._pictures, now))]
        fresh = [frame for frame in pictures[:-1] if now - self._due(frame.at) <= _STALE] + pictures[-1:]
        self.counts.overtaken += len(pictures) - len(fresh)
        originals = [self._expected.popleft() for _ in range(self._count_due(self._expected, now))]
        if not fresh:
            silent = now - self._engine_delivered > _SILENT + self._delay * SAMPLE_NS
            until = FOREVER if silent else self.untouched_before
            fresh = [frame for frame in originals if self._shown < frame.at < until][-1:]
            self.counts.untouched += len(fresh)
        if sounds:
            self._sound_late = now - self._due(sounds[-1].at)
            self.played = sounds[-1].at + CHUNK_TIME
        for frame in fresh:
            self._skew.observe((now - self._due(frame.at) - self._sound_late) / SECOND_NS)
        shown = fresh or self._repeat(now)
        if shown:
            self._last, self._shown = shown[-1], shown[-1].at
        return Released(sounds, shown)

    def _repeat(self, now: int) -> list[VideoFrame]:
        """Gives the last picture once more where none came for ``REPEAT``. One that the engine still has is newer."""
        at = (now - self._origin) // SAMPLE_NS - self._delay
        if self._last is None or at < max(self._shown, self._expected_until) + REPEAT:
            return []
        self.counts.repeated += 1
        return [VideoFrame(self._last.picture, at, at, Fraction(1, SAMPLE_RATE))]

    def _due(self, at: int) -> int:
        return self._origin + (at + self._delay) * SAMPLE_NS

    def _count_due(self, queue: Iterable[SpeechChunk | VideoFrame], now: int) -> int:
        return sum(1 for _ in takewhile(lambda item: self._due(item.at) <= now, queue))

    def _bound(self, queue: deque[SpeechChunk] | deque[VideoFrame], bound: int) -> None:
        if len(queue) > bound:
            queue.popleft()
            self.counts.overflow += 1

    def _judge(self, lateness: int) -> None:
        self._lateness.append(lateness)
        if len(self._lateness) < _JUDGED:
            return
        ordered = sorted(self._lateness)
        self._lateness.clear()
        if ordered[_JUDGED // 2] > 0:
            more = -(-ordered[_JUDGED * 9 // 10] // _CHUNK_NS) * CHUNK_TIME
            self._wanted = min(MAX_DELAY, self._delay + min(more, _MOST_GROWTH))
            self._grow()
        elif ordered[-1] < -_SLACK:
            self._delay = self._wanted = max(self._least, self._delay - CHUNK_TIME)

    def _grow(self) -> None:
        if self._wanted > self._delay and not (self._sounds and np.ptp(self._sounds[0].samples) > _QUIET):
            self._delay = self._wanted
