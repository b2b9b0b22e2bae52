"""Counts and names what holds the event loop.

A callback that the loop runs, a *beat*, measures how late it comes; a thread looks at the stack of the loop's thread
while a beat is overdue. In a quiet loop, which has little to be late with, beats are rarer.

A stall is as long as its beat is late: up to ``BEAT_NS`` shorter than what held the loop.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FrameType

from streamer.clock import MILLISECOND_NS, SECOND_NS, Clock, SystemClock, thread_cpu_ns
from streamer.telemetry.metrics import stall_histogram

log = logging.getLogger(__name__)

BEAT_NS = 33 * MILLISECOND_NS
QUIET_BEAT_NS = 150 * MILLISECOND_NS
"""Between two beats of a busy loop, and of one that computed for less than ``QUIET_SHARE`` of the time since the last.
The watchdog takes 0.08 % of a core with these, where waking takes a thread 25 us and a loop 85 us."""

QUIET_SHARE = 0.02

LIMIT_NS = 20 * MILLISECOND_NS
"""A beat that comes later than this is a stall: sound leaves every 20 ms."""

SAMPLE_NS = 10 * MILLISECOND_NS
"""From when a beat is due until the first look at the stack, and then between two looks."""

MOST_SAMPLES = 100
"""Looks at the stack during one stall. A longer stall is named by its first second."""

MOST_FRAMES = 60
"""Frames of a stack that are kept, the innermost ones."""

MOST_PLACES = 50
"""Different places that are counted by name. Full: further ones count as ``OTHER``."""

LOGGED_NS = 100 * MILLISECOND_NS
"""Of the loop thread's own computing: a stall with as much is logged."""
BLOCKED_NS = SECOND_NS
"""A callback that holds the loop for as long is logged, however little it computes: it waits for something. A shorter
one may have waited for a core alone."""
LOG_PAUSE_NS = 10 * SECOND_NS
"""Pause between two lines of the log, each of which counts the stalls of ``LOGGED_NS`` and more since the last."""

OURS = ("streamer.", "mytalk.")

OTHER = "other"
WAITING = "waiting"
"""The place where no callback ran: the loop's thread waited for a core or for the interpreter's lock."""
COLLECTING = "garbage collection"
"""The place where the loop's thread, whatever it ran, mostly collected garbage, which falls on any allocation."""
UNSEEN = "unseen"
"""The place where the stall was over before the thread looked."""


@dataclass(frozen=True, slots=True)
class StackFrame:
    """Names one function on the stack of the loop's thread, as ``module.function`` and a line."""

    module: str
    function: str
    line: int

    @property
    def name(self) -> str:
        return f"{self.module}.{self.function}"

    @property
    def is_ours(self) -> bool:
        return self.module.startswith(OURS)

    def __str__(self) -> str:
        return f"{self.name}:{self.line}"


@dataclass(frozen=True, slots=True)
class Stall:
    """The loop was held. ``stack``: of the callback that held it, from outside to inside; empty where none was seen."""

    seconds: float
    cpu_seconds: float  # that the loop's thread computed since the beat before
    place: str  # the innermost function of ours; the callback itself where there is none; COLLECTING, WAITING or UNSEEN
    stack: tuple[StackFrame, ...]
    collecting_seconds: float = 0.0  # of ``cpu_seconds``, those in which garbage was collected


class LoopWatchdog:
    """Watches the running event loop from :meth:`start` to :meth:`close`.

    ``stalls`` counts by place, ``seconds`` is a histogram of their lengths.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.stalls = Counter[str]()
        self.seconds = stall_histogram()
        self._clock = clock or SystemClock()
        self._closing = threading.Lock()  # the thread ends when it gets it
        self._caller: CodeType | None = None  # the function of the loop that calls callbacks
        self._due = self._cpu = 0
        self._collection_began = self._collected = 0  # CPU time of the loop's thread
        self._samples: list[tuple[StackFrame, ...]] = []
        self._log_after = self._clock.now()
        self._unlogged = 0

    def start(self) -> None:
        """Begins to watch the running loop, of which this is the thread."""
        self._loop, self._loop_thread = asyncio.get_running_loop(), threading.get_ident()
        self._cpu = thread_cpu_ns()
        self._next(0)
        gc.callbacks.append(self._on_collection)
        self._closing.acquire()
        self._thread = threading.Thread(target=self._look, name="loop watchdog", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops watching; its thread has ended then."""
        self._timer.cancel()
        gc.callbacks.remove(self._on_collection)
        self._closing.release()
        self._thread.join()

    def on_stall(self, stall: Stall) -> None:
        """Counts a stall, and logs it where it is long."""
        known = stall.place in self.stalls or len(self.stalls) < MOST_PLACES
        self.stalls[stall.place if known else OTHER] += 1
        self.seconds.observe(stall.seconds)
        if not _is_logged(stall):
            return
        self._unlogged += 1
        if (now := self._clock.now()) < self._log_after:
            return
        figures = {"ms": round(1000 * stall.seconds), "cpu_ms": round(1000 * stall.cpu_seconds)}
        where = {"place": stall.place}
        if stall.stack:
            where |= {"callback": str(stall.stack[0]), "stood": str(stall.stack[-1])}
        log.warning("the event loop was held", extra={"data": figures | where | {"stalls": self._unlogged}})
        self._unlogged, self._log_after = 0, now + LOG_PAUSE_NS

    # --- on the loop

    def _next(self, pause: int) -> None:
        self._pause, self._due = pause, self._clock.now() + pause
        self._timer = self._loop.call_later(pause / SECOND_NS, self._beat)

    def _beat(self) -> None:
        self._caller = sys._getframe(1).f_code
        late, cpu = self._clock.now() - self._due, thread_cpu_ns()
        computed, self._cpu = cpu - self._cpu, cpu
        collected, self._collected = self._collected, 0
        samples, self._samples = self._samples, []
        if late > LIMIT_NS:
            self.on_stall(_stall(late, computed, collected, samples))
        quiet = computed < QUIET_SHARE * (self._pause + max(0, late))
        self._next(QUIET_BEAT_NS if quiet else BEAT_NS)

    def _on_collection(self, phase: str, _: dict[str, int]) -> None:
        """Counts what the collector takes of the loop's thread; called by it in whichever thread it runs."""
        if threading.get_ident() != self._loop_thread:
            return
        if phase == "start":
            self._collection_began = thread_cpu_ns()
        elif self._collection_began:
            self._collected += thread_cpu_ns() - self._collection_began
            self._collection_began = 0

    # --- on the thread

    def _look(self) -> None:
        """Looks at the stack of the loop's thread while a beat is overdue."""
        while not self._closing.acquire(timeout=self._until_look() / SECOND_NS):
            due, samples = self._due, self._samples
            if self._clock.now() - due < SAMPLE_NS or len(samples) >= MOST_SAMPLES:
                continue
            stack = self._stack()
            if self._due == due:  # else the beat came meanwhile
                samples.append(stack)

    def _until_look(self) -> int:
        """Nanoseconds; 0.1 s where enough has been seen of a stall."""
        if len(self._samples) >= MOST_SAMPLES:
            return 100 * MILLISECOND_NS
        wait = self._due + SAMPLE_NS - self._clock.now()
        return wait if wait > 0 else SAMPLE_NS

    def _stack(self) -> tuple[StackFrame, ...]:
        """Returns what the loop runs now, from outside to inside; empty where it waits or reports a stall."""
        frame = sys._current_frames().get(self._loop_thread)
        inside: list[StackFrame] = []
        for one in _outwards(frame):
            if one.f_code is self._caller:
                return tuple(reversed(inside[:MOST_FRAMES]))
            if one.f_code is LoopWatchdog._beat.__code__:
                return ()
            if one.f_code is not LoopWatchdog._on_collection.__code__:
                inside.append(StackFrame(one.f_globals.get("__name__", "?"), one.f_code.co_qualname, one.f_lineno))
        return ()


def _is_logged(stall: Stall) -> bool:
    """Whether a stall is long enough by the loop's own doing; a busy machine delays every loop."""
    if stall.cpu_seconds * SECOND_NS >= LOGGED_NS:
        return True
    return bool(stall.stack) and stall.seconds * SECOND_NS >= BLOCKED_NS


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _stall(late: int, computed: int, collected: int, samples: list[tuple[StackFrame, ...]]) -> Stall:
    """Names a stall by the place that was seen most often, or by the collector where that took most of the time."""
    places = [_place(stack) for stack in samples]
    place = Counter(places).most_common(1)[0][0] if places else UNSEEN
    stack = samples[places.index(place)] if places else ()
    if collected > computed / 2:
        place = COLLECTING
    return Stall(late / SECOND_NS, computed / SECOND_NS, place, stack, collected / SECOND_NS)


def _place(stack: tuple[StackFrame, ...]) -> str:
    if not stack:
        return WAITING
    return next((frame.name for frame in reversed(stack) if frame.is_ours), stack[0].name)
