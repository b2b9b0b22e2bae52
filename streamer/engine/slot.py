"""Connects one session to the engine: its input on the way in, its stream, and its results on the way back."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from mytalk.errors import EngineError, MyTalkError
from mytalk.face.tracker import Face
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.picture import VideoFrame
from mytalk.stream_options import StreamControls
from streamer.clock import MILLISECOND_NS
from streamer.engine.admission import StreamLoad
from streamer.engine.interfaces import LipSync, Models, Speech
from streamer.engine.speech_queue import SpeechQueue
from streamer.protocol.generation import Cleared
from streamer.telemetry import logs

if TYPE_CHECKING:
    from mytalk.lipsync_stream import FaceStatus
    from mytalk.motion.conditions import MotionRequest, SampledMotion

log = logging.getLogger(__name__)

UNTRACKED_BOUND = 8
"""Pictures waiting for the tracker. Full: the oldest is dropped and counted, and its place shows the picture before."""

BACKLOG = SAMPLE_RATE * 3 // 10
"""Media time (300 ms) that the engine may lag behind the latency its stream has by nature. Beyond: a new picture is
dropped and counted until it has caught up, so an engine that is too slow shows fewer pictures, not later ones."""

_LEAST_INSIDE = 4  # pictures: a stream looks at the next two before it lets one go

OpenStream = Callable[[Models], LipSync]
Deliver = Callable[[VideoFrame], None]
Fail = Callable[[MyTalkError], None]
ReadControls = Callable[[], StreamControls]
"""Called on an engine thread, once a job."""


class EngineSlot:
    """Carries one session's pictures and speech to its stream, and finished pictures back.

    :meth:`streamer.engine.engine.Engine.open_slot` makes it. ``picture``, ``speech``, ``clear`` and ``close`` are for
    the event loop.

    Media times are the session's; the stream's own begin at ``base``, where the session took the slot. ``name`` is the
    session's id: what is logged of the slot on the engine's threads belongs to it. One engine thread at a time works on
    it, and beside it one tracker thread and one listener thread: whoever calls sees to that.
    """

    def __init__(
        self,
        *,
        open_stream: OpenStream,
        controls: ReadControls,
        deliver: Deliver,
        fail: Fail,
        notify: Callable[[], None],
        post: Callable[[Callable[[], None]], None],
        load: StreamLoad,
        base: int = 0,
        generation: int = 0,
        name: str = "",
    ) -> None:
        self.name = name
        self.load = load
        self.closing = False
        self.freed = False
        self.failed = False
        self.lost = False  # the engine failed, not the stream
        self._base = base
        self.sampling_ns = 0.0
        self.dropped = 0  # pictures that found no room
        self._open_stream, self._controls = open_stream, controls
        self._notify, self._post, self._deliver, self._fail = notify, post, deliver, fail
        self._stream: LipSync | None = None
        self._untracked: deque[VideoFrame] = deque()
        self._speech = SpeechQueue(generation)
        self._tracked: deque[tuple[VideoFrame, Face | None]] = deque()
        self._pullable = False
        self._held_until = 0
        # Pictures given and not yet finished: their media times, and up to when speech had come as they were given.
        self._inside: deque[tuple[int, int]] = deque()
        self._latency = 0
        self._tracking = threading.Lock()  # held while a tracker thread is inside the stream
        self._failing = threading.Lock()  # held to look at and set ``failed`` and ``lost``

    @property
    def stats(self) -> dict[str, float]:
        """Returns what the stream counts, and its share of the batches that its windows were sampled in."""
        stream = self._stream
        return {**stream.stats, "sample_ms": self.sampling_ns / MILLISECOND_NS} if stream is not None else {}

    @property
    def sight(self) -> FaceStatus:
        """Returns the status of the face in the newest picture."""
        return self._stream.face_status if self._stream is not None else "unknown"

    @property
    def counts(self) -> dict[str, int]:
        """Counts the pictures that were not dubbed, by why."""
        counted = {name: int(self.stats.get(name, 0)) for name in ("not_finite", "no_face")}
        return {"dropped": self.dropped, **counted}

    @property
    def waiting(self) -> dict[str, int]:
        """Counts what waits: items for the tracker, for the engine, and speech that waits for it (pieces)."""
        return {"untracked": len(self._untracked), "tracked": len(self._tracked), "speech": self._speech.waiting}

    @property
    def lag(self) -> int:
        """Returns the media time since which the engine could have finished its oldest picture; 0 where it waits."""
        at_work = self._pullable or len(self._inside) >= _LEAST_INSIDE
        try:
            at, given = self._inside[0]
            possible = max(at + self._latency, given + (_LEAST_INSIDE - 1) * FRAME_SAMPLES)
            return max(0, self._speech.said - possible) if at_work else 0
        except IndexError:  # an engine thread has just finished them all
            return 0

    # --- the event loop

    def picture(self, frame: VideoFrame) -> None:
        """Hands over the next picture, in order of ``at``; one from before the slot was taken is left out."""
        if frame.at < self._base:
            return
        frame = replace(frame, at=frame.at - self._base)
        inside = self._inside
        lagging = self._pullable or self._tracked or self._untracked  # otherwise it is the engine that waits
        if lagging and len(inside) >= _LEAST_INSIDE and frame.at - inside[0][0] > self._latency + BACKLOG:
            self.dropped += 1
            return
        inside.append((frame.at, self._speech.said))
        self._untracked.append(frame)
        if len(self._untracked) > UNTRACKED_BOUND:
            oldest = self._untracked.popleft().at
            inside.remove(next(one for one in inside if one[0] == oldest))
            self.dropped += 1
        self._notify()

    def speech(self, samples: Speech) -> bool:
        """Hands over the next speech, without holes. Returns False, and takes none, where the engine is 4 s behind."""
        taken = self._speech.say(samples)
        if taken:
            self._notify()
        return taken

    def clear(self, cleared: Cleared) -> None:
        """Takes a barge-in: speech so far is void. Pictures that have not left are made again, with the mouth coming to
        rest; those that are under way now are not delivered."""
        self._speech.clear(cleared.generation, max(0, cleared.pictures_from - self._base))
        self._notify()

    def no_picture_before(self, at: int) -> None:
        """Says that speech up to ``at`` has no picture to wait for."""
        self._held_until = max(0, at - self._base)
        self._notify()

    def close(self) -> None:
        """Closes the slot; an engine thread frees the stream at its next turn."""
        self.closing = True
        self._notify()

    # --- a tracker thread

    @property
    def has_untracked(self) -> bool:
        return bool(self._untracked) and self._stream is not None and not (self.closing or self.failed)

    def track_one(self) -> None:
        """Finds the face of the oldest waiting picture."""
        with self._tracking, logs.of_session(self.name):
            self._track_oldest()
        if self.freed:
            self._close_stream()
        self._notify()

    def _track_oldest(self) -> None:
        stream = self._stream
        if stream is None or not self._untracked:
            return
        frame = self._untracked.popleft()
        try:
            face = stream.track(frame.picture)
        except Exception as failure:
            log.exception("a face could not be tracked")
            self.report(failure)
        else:
            self._tracked.append((frame, face))

    # --- a listener thread

    @property
    def has_unheard(self) -> bool:
        return self._speech.has_unheard and self.is_open

    def hear_some(self) -> None:
        """Hears speech that waits."""
        with logs.of_session(self.name):
            stream = self._stream
            if stream is None:
                return
            try:
                more = self._speech.hear_some(stream)
            except Exception as failure:
                log.exception("speech could not be heard")
                self.report(failure)
                return
        if more:
            self._notify()

    # --- an engine thread

    @property
    def has_job(self) -> bool:
        if self.closing:
            return True
        waits = self._stream is None or self._pullable or self._speech.has_heard or self._tracked
        return not self.failed and bool(waits)

    @property
    def is_open(self) -> bool:
        """Says whether there is a stream that has not failed."""
        return self._stream is not None and not (self.closing or self.failed)

    def open(self, models: Models) -> None:
        """Makes the stream, where there is none yet."""
        if self._stream is None and not self.failed:
            with self._reporting():
                self._stream = self._open_stream(models)
                self._latency = self._stream.latency
                self._notify()

    def take_in(self) -> MotionRequest | None:
        """Takes in what has come; the window that can be sampled now, if there is one."""
        with self._reporting():
            if self._stream is not None:
                self._take_in(self._stream)
                request = self._stream.request()
                self._pullable = self._pullable or request is not None  # where no thread samples it, ``pull`` does
                return request
        return None

    def accept(self, request: MotionRequest, sampled: SampledMotion) -> None:
        """Takes the motion of the window that ``take_in`` gave."""
        with self._reporting():
            if self._stream is not None:
                self._stream.accept(request, sampled)

    def finish_one(self) -> None:
        """Finishes at most one picture."""
        frame = None
        with self._reporting():
            if self._stream is not None and not self.failed:
                frame = next(iter(self._stream.pull()), None)
        self._pullable = frame is not None
        if frame is not None:
            finished, generation = frame, self._speech.heard_generation
            while self._inside and self._inside[0][0] <= frame.at:
                self._inside.popleft()
            self._post(lambda: self._arrive(finished, generation))

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        """Reports a failure of this session's stream to this session alone."""
        with logs.of_session(self.name):
            try:
                yield
            except Exception as failure:
                log.exception("a session's stream failed")
                self.report(failure)

    def _arrive(self, frame: VideoFrame, generation: int) -> None:
        """On the loop."""
        if not self.closing and generation == self._speech.generation:
            self._deliver(replace(frame, at=frame.at + self._base))

    def _take_in(self, stream: LipSync) -> None:
        stream.controls = self._controls().earlier_by(self._base)
        if self._held_until:
            stream.hold_video(self._held_until)
            self._held_until = 0
        while self._tracked:
            stream.push_frame(*self._tracked.popleft())
        interrupted = self._speech.interrupted
        self._speech.take_in(stream)
        if interrupted:
            self._notify()  # there is silence to be heard

    def free(self) -> None:
        """Closes the stream, or leaves that to the tracker thread that is in it; waits for who listens."""
        self._speech.close()
        self._untracked.clear()
        self._tracked.clear()
        self.freed = True
        self._close_stream()

    def _close_stream(self) -> None:
        """Closes the stream, unless a tracker thread is in it: that one calls this as it leaves."""
        if self._tracking.acquire(blocking=False):
            try:
                stream, self._stream = self._stream, None
                if stream is not None:
                    stream.close()
            finally:
                self._tracking.release()

    # --- any thread

    def report(self, failure: Exception, *, lost: bool = False) -> None:
        """Informs the session that its stream is gone; ``lost``: because the whole engine is."""
        with self._failing:
            if self.failed and not (lost and not self.lost):
                return
            self.failed, self.lost = True, lost
        error = failure if isinstance(failure, MyTalkError) else EngineError(f"{type(failure).__name__}: {failure}")
        with logs.of_session(self.name):  # also of what the loop is given to do
            self._post(lambda: None if self.closing else self._fail(error))
