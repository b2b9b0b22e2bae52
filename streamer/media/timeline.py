"""Puts the packets of two tracks on one media timeline, whatever the network does to them. Sans-IO.

Each inbound track counts its time from its own first packet. Here both become media time: 0 is the moment the session
began, and it goes on with the wall clock even where a track stalls. Speech sets the pace: it is a stream of samples
without holes. Pictures are placed beside it by when they arrived, then by the sender's reports.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction

import numpy as np

from mytalk.media_time import SAMPLE_RATE, to_samples
from mytalk.picture import VideoFrame
from streamer.clock import MILLISECOND_NS, SAMPLE_NS, SECOND_NS
from streamer.media.audio import CHUNK, CHUNK_TIME, OUTPUT_RATE, SpeechChunk, Stereo
from streamer.media.time_stretch import ChunkBalance, between, joined

STALL = SAMPLE_RATE // 5
"""Media time (200 ms) that speech may be missing before silence takes its place; less than any pacer's delay."""

HOLD = SAMPLE_RATE // 4
"""Media time (250 ms) without a new picture before motion goes on without one."""

JUMP = 2 * SECOND_NS
"""A packet that is early by more than this, or late by more for a second, says that the sender's timestamps jumped."""

EARLY = 400 * MILLISECOND_NS
"""A picture that is early by more than this says so too: no network makes it early, and it would wait for its time."""

MOST_STRETCH = 5 * CHUNK
"""Samples (100 ms) up to which late speech is moved by chunks put in; beyond, it is waited for. Early speech, such as a
publisher's backlog at its start, is moved by chunks taken out, however much it is: nothing of it is cut."""

_MOST_EARLY = EARLY * 3 // 4 // SAMPLE_NS  # media time
_JUMPED = JUMP * OUTPUT_RATE // SECOND_NS  # samples (48 kHz)
_DRIFT = 40 * MILLISECOND_NS  # that every packet of a window must be early or late by, before its track moves
_WINDOW = 150  # packets: 3 s of speech, 6 s of a 25 fps camera
_LATE_WAIT = SECOND_NS  # of packets late by JUMP: a queue that empties after a stall is shorter
_SLEW = SAMPLE_RATE // 200  # a picture moves at most 5 ms against the one before it
_LEAST = 2  # samples between pictures: what is nearer could have equal timestamps on an outbound track


class DriftMonitor:
    """Tells when a track's offset is wrong: two clocks drift, a path grew slower, or timestamps jumped."""

    def __init__(self, early: int = JUMP) -> None:
        self._early = early
        self._window: deque[int] = deque(maxlen=_WINDOW)
        self._late_since: int | None = None

    def shift(self, lateness: int, now: int) -> int:
        """Takes how late a packet is (ns) and gives the nanoseconds to move the track by; mostly 0."""
        self._window.append(lateness)
        if lateness <= JUMP:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = now
        least = min(self._window)
        if lateness < -self._early or (self._late_since is not None and now - self._late_since > _LATE_WAIT):
            moved = lateness
        elif len(self._window) == _WINDOW and abs(least) >= _DRIFT:
            moved = least
        else:
            return 0
        self._window.clear()
        self._late_since = None
        return moved


class SpeechTimeline:
    """Turns received packets of speech into consecutive 20 ms chunks from media time 0.

    A hole is filled with silence, at once where a later packet shows it and after :data:`STALL` where nothing comes.
    Speech that arrives after its place was filled is dropped and counted in ``late``.
    """

    def __init__(self, origin: int) -> None:
        self.late = 0  # samples (48 kHz) that came too late
        self.filled = 0  # samples (48 kHz) of silence put in
        self._origin = origin  # ns: media time 0
        self._offset: int | None = None  # media position - track position, a multiple of CHUNK
        self._next = 0  # position of the first sample not yet taken, in 48 kHz samples
        self._parts: deque[Stereo] = deque()
        self._held = 0  # samples in _parts
        self._drift = DriftMonitor()
        self._balance = ChunkBalance()
        self._before: Stereo | None = None  # the chunk before the next, where it was a whole packet
        self._joining: Stereo | None = None  # a packet that becomes one chunk with the next

    @property
    def stretched(self) -> int:
        """Samples (48 kHz) put in and taken out where nobody hears it."""
        return self._balance.done * CHUNK

    @property
    def at(self) -> int:
        """Media time up to which speech is known."""
        return self._next // (OUTPUT_RATE // SAMPLE_RATE)

    @property
    def offset(self) -> int | None:
        """Media position minus track position, in 48 kHz samples; None before the first packet."""
        return self._offset

    def accept(self, pts: int, samples: Stereo, now: int, packet: bytes | None = None) -> list[SpeechChunk]:
        """Takes one decoded packet, ``pts`` in 48 kHz samples of its track; returns the chunks it completes.

        ``packet`` is what it was decoded from: it stays with a chunk that holds just its samples.
        """
        count = len(samples)
        if count > CHUNK and count % CHUNK == 0:  # as packets of 40 and 60 ms
            first, now = pts, now - (count - CHUNK) * SECOND_NS // OUTPUT_RATE
            parts = [(start, now + start * SECOND_NS // OUTPUT_RATE) for start in range(0, count, CHUNK)]
            return [one for at, then in parts for one in self.accept(first + at, samples[at : at + CHUNK], then)]
        if self._offset is None:
            self._offset = _whole(max(self._next, self._position(now) - count) - pts, up=True)
        whole = count == CHUNK and not self._held
        self._correct(pts + self._offset + count, now, stretch=whole)
        start = pts + self._offset
        if self._joining is not None:
            return (
                self._join(start, samples, now) if whole else [*self._flush_joining(), *self.accept(pts, samples, now)]
            )
        if (
            whole
            and start == self._next
            and self._before is not None
            and self._balance.is_time(self._before, samples, now)
        ):
            return self._stretched(samples, now)
        if start > self._next:
            self._silence(start - self._next)
        missed = min(self._next - start, count)
        self.late += missed
        chunks = self._whole_chunks()
        if count == CHUNK and not missed and not self._held:
            return [*chunks, self._whole_packet(samples, packet)]
        self._before = None
        self._take(samples[missed:])
        return chunks + self._whole_chunks()

    def advance(self, now: int) -> list[SpeechChunk]:
        """Fills with silence where speech has been missing for :data:`STALL`; gives the chunks that are complete."""
        missing = self._position(now) - STALL * OUTPUT_RATE // SAMPLE_RATE - self._next
        if missing > 0:
            joining = self._flush_joining()
            self._silence(_whole(missing, up=True))
            return joining + self._whole_chunks()
        return self._whole_chunks()

    def restart(self) -> None:
        """Forgets the track's offset: the next packet is another track's and is placed by its arrival."""
        self._offset = None
        self._drift = DriftMonitor()

    def skip_to(self, now: int) -> int:
        """Goes on at ``now`` after a stall: what is missing before is neither waited for nor filled. Returns the media
        time that is left out."""
        before = self._next - self._held
        self._parts.clear()
        self._held = 0
        self._before = self._joining = None
        self._next = max(_whole(self._next, up=True), _whole(self._position(now), up=True))
        return (self._next - before) // (OUTPUT_RATE // SAMPLE_RATE)

    def append(self, samples: Stereo) -> SpeechChunk:
        """Puts 20 ms of speech that has no timestamp, as from a file, at the end of the timeline."""
        self._next += CHUNK
        return SpeechChunk((self._next - CHUNK) // CHUNK * CHUNK_TIME, samples)

    def clear(self) -> None:
        """Replaces the samples of an incomplete chunk by silence (barge-in)."""
        self._parts = deque(np.zeros_like(part) for part in self._parts)
        self._before = None
        if self._joining is not None:
            self._joining = np.zeros_like(self._joining)

    def _correct(self, end: int, now: int, *, stretch: bool) -> None:
        """Moves the track where it is early or late: chunk by chunk while ``stretch``, where it is late by 100 ms at
        most, else at once. Without ``stretch`` it stays early: cut, it would lose speech."""
        assert self._offset is not None
        late = self._position(now) - end - self._balance.due * CHUNK
        moved = _whole(self._drift.shift(late * SECOND_NS // OUTPUT_RATE, now) * OUTPUT_RATE // SECOND_NS)
        if abs(moved) <= MOST_STRETCH or (stretch and -_JUMPED < moved < 0):
            self._balance.request(moved // CHUNK, now)
        elif stretch or not -_JUMPED < moved < 0:
            self._offset += moved
        if not stretch and self._balance.due:
            self._offset += self._balance.due * CHUNK
            self._balance = ChunkBalance()

    def _stretched(self, samples: Stereo, now: int) -> list[SpeechChunk]:
        """Takes a packet at which a chunk may be put in or taken out."""
        assert self._before is not None
        assert self._offset is not None
        if self._balance.due < 0:
            self._joining = samples
            return []
        self._offset += CHUNK
        self._balance.settle(1, now)
        extra = between(self._before, samples)
        return [self._whole_packet(extra, None), self._whole_packet(samples, None)]

    def _join(self, start: int, samples: Stereo, now: int) -> list[SpeechChunk]:
        """Joins a packet with the one before it, which was kept back, into one chunk."""
        assert self._joining is not None
        assert self._offset is not None
        if start != self._next + CHUNK:  # one was lost
            return [*self._flush_joining(), *self.accept(start - self._offset, samples, now)]
        both, self._joining = joined(self._joining, samples), None
        self._offset -= CHUNK
        self._balance.settle(-1, now)
        return [self._whole_packet(both, None)]

    def _flush_joining(self) -> list[SpeechChunk]:
        if self._joining is None:
            return []
        joining, self._joining = self._joining, None
        return [self._whole_packet(joining, None)]

    def _whole_packet(self, samples: Stereo, packet: bytes | None) -> SpeechChunk:
        self._next += CHUNK
        self._before = samples
        return SpeechChunk((self._next - CHUNK) // CHUNK * CHUNK_TIME, samples, packet)

    def _position(self, now: int) -> int:
        return (now - self._origin) * OUTPUT_RATE // SECOND_NS

    def _silence(self, count: int) -> None:
        self.filled += count
        self._before = None
        self._take(np.zeros((count, 2), np.int16))

    def _take(self, samples: Stereo) -> None:
        if len(samples):
            self._parts.append(samples)
            self._held += len(samples)
            self._next += len(samples)

    def _whole_chunks(self) -> list[SpeechChunk]:
        if self._held < CHUNK:
            return []
        samples = self._parts[0] if len(self._parts) == 1 else np.concatenate(self._parts)
        first = (self._next - self._held) // CHUNK
        count = self._held // CHUNK
        self._parts.clear()
        self._held -= count * CHUNK
        if self._held:
            self._parts.append(samples[count * CHUNK :])
        return [SpeechChunk((first + i) * CHUNK_TIME, samples[i * CHUNK : (i + 1) * CHUNK]) for i in range(count)]


class PictureTimeline:
    """Turns timestamps of a camera track into media time that always grows."""

    def __init__(self, origin: int) -> None:
        self.late = 0  # pictures that came after a later one was placed
        self._origin = origin
        self._offset: int | None = None  # media time - track time
        self._wanted: int | None = None  # the offset that it moves to
        self._reported = False  # whether that is what the sender's reports ask for
        self._last = -_LEAST
        self._arrival = 0  # media time at which the newest picture came, minus its track time
        self._drift = DriftMonitor(EARLY)

    def align(self, offset: int) -> None:
        """Takes the offset (media time minus track time) that the sender's reports show, and moves there slowly: as far
        as pictures are not so early that their timestamps would seem to have jumped."""
        if self._offset is not None and abs(offset - self._offset) * SAMPLE_NS <= JUMP:
            self._wanted, self._reported = min(offset, self._arrival + _MOST_EARLY), True

    def place(self, pts: int, time_base: Fraction, now: int) -> int | None:
        """Gives the media time of a picture that arrived now; None where a later one was placed already."""
        track = to_samples(pts, time_base)
        arrived = (now - self._origin) // SAMPLE_NS
        if self._offset is None:
            self._offset = arrived - track
        self._arrival = arrived - track
        shift = self._drift.shift((self._arrival - self._offset) * SAMPLE_NS, now)
        if abs(shift) > EARLY:
            self._offset, self._wanted = self._offset + shift // SAMPLE_NS, None
        elif shift and not (self._reported and self._wanted is not None):
            self._wanted, self._reported = self._offset + shift // SAMPLE_NS, False
        if self._wanted is not None:
            self._offset += max(-_SLEW, min(_SLEW, self._wanted - self._offset))
        return self._put(track + self._offset)

    def restart(self) -> None:
        """Forgets the track's offset: the next picture is another track's and is placed by its arrival."""
        self._offset = self._wanted = None
        self._drift = DriftMonitor()

    def skip_to(self, at: int) -> None:
        """Goes on at media time ``at`` after a stall: pictures from before it come too late."""
        if self._last >= 0:
            self._last = max(self._last, at - _LEAST)

    def stand_in(self, now: int, step: int) -> int | None:
        """Gives the media time of the next picture that stands in for those of a camera that left, one each ``step``;
        None until it is due. Nothing is made up for."""
        media = (now - self._origin) // SAMPLE_NS
        if self._last < 0 or media < self._last + step:
            return None
        return self._put(max(self._last + step, media - step))

    def _put(self, at: int) -> int | None:
        if at < self._last + _LEAST:
            self.late += 1
            return None
        self._last = at
        return at


def timestamp(frame: VideoFrame, rate: int) -> int:
    """Gives a picture's timestamp on an outbound track of ``rate`` units a second.

    The source's own timestamp is moved to media time, so intervals between pictures stay the source's to the unit.
    """
    moved = frame.at - to_samples(frame.pts, frame.time_base)
    return round(frame.pts * frame.time_base * rate) + moved * rate // SAMPLE_RATE


def _whole(samples: int, *, up: bool = False) -> int:
    """Rounds to a multiple of 20 ms: towards zero, or with ``up`` not below ``samples``."""
    if up:
        return -(-samples // CHUNK) * CHUNK
    return samples // CHUNK * CHUNK if samples >= 0 else -(-samples // CHUNK * CHUNK)
