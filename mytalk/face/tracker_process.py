"""Tracks faces in other processes.

Threads of one process share Python's global lock and wait for each other. Pictures go through shared memory, faces come
back through a pipe.
"""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Protocol

import numpy as np

from mytalk.errors import EngineError
from mytalk.face.answer_deadline import AnswerDeadline
from mytalk.face.speaker import Choice, SpeakerTracker
from mytalk.face.tracker import Face
from mytalk.picture import Matrix, Picture

log = logging.getLogger(__name__)

ANSWER_TIMEOUT = 3.0
"""Seconds for one picture. A process that takes longer hangs, and is ended. Usual are 10 to 30 ms."""

START_TIMEOUT = 60.0
"""Seconds for the first picture, which waits until the process has loaded its models."""

STEADY = 30.0
"""Seconds after which a process that ends is started again at once, as if it were the first one."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
"""Seconds before a process is started again that ended before it was steady: twice as long each time."""

_EXIT_TIMEOUT = 5.0  # seconds in which a process must end once its input is closed
_COMMAND = (sys.executable, "-m", "mytalk.face.tracker_worker")


class ProcessEndedError(EngineError):
    """Says that a process that tracks faces has ended, and that another one is not there yet."""


class Tracker(Protocol):
    """Finds the face that speaks in the pictures of one session, in order. One thread at a time calls."""

    choice: Choice

    @property
    def too_small(self) -> bool: ...
    def __call__(self, picture: Picture) -> Face | None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class TrackRequest:
    """Asks for the face in the picture that lies in shared memory, plane after plane."""

    key: int  # of the tracker
    choice: Choice
    memory: str
    shapes: tuple[tuple[int, int], ...]  # of the planes Y, U, V
    matrix: Matrix
    full_range: bool


@dataclass(frozen=True, slots=True)
class CloseRequest:
    """Asks to free a tracker; no result follows."""

    key: int


@dataclass(frozen=True, slots=True)
class TrackResult:
    """Holds what a tracker found."""

    face: Face | None
    too_small: bool
    cpu_seconds: float  # that the process has taken so far


class TrackerProcess:
    """Runs one process and the pipes to it. It ends when this one does, or at ``close``. Any thread may call."""

    def __init__(self) -> None:
        self.cpu_seconds = 0.0  # up to the last answer
        self._lock = threading.Lock()
        self._memory: SharedMemory | None = None
        self._unused: deque[int] = deque()  # keys of trackers to be freed
        self.began = time.monotonic()
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        self._process = subprocess.Popen(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path, "MALLOC_ARENA_MAX": "1"},  # else closed trackers' memory stays
        )
        self._ending = weakref.finalize(self, _end, self._process)
        self._deadline = AnswerDeadline(self._process)

    @property
    def alive(self) -> bool:
        """Says whether the process runs."""
        return self._ending.alive and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Returns the process's id."""
        return self._process.pid

    def track(self, key: int, choice: Choice, picture: Picture) -> TrackResult:
        """Sends a picture to a tracker, which is made where it does not exist yet, and waits for the result.

        Raises EngineError where the tracker failed, or shared memory is full; `ProcessEndedError` where the process has
        ended, or was ended because it did not answer in time.
        """
        planes = (picture.y, picture.u, picture.v)
        with self._lock:
            memory = self._write(planes)
            shapes = tuple((plane.shape[0], plane.shape[1]) for plane in planes)
            request = TrackRequest(key, choice, memory, shapes, picture.matrix, picture.full_range)
            with self._deadline.within(ANSWER_TIMEOUT if self.cpu_seconds else START_TIMEOUT):
                self._free_unused()
                self._send(request)
                assert self._process.stdout is not None
                try:
                    result: TrackResult | str = pickle.load(self._process.stdout)
                except (EOFError, pickle.UnpicklingError, OSError, ValueError) as error:
                    raise self._process_ended() from error
        if isinstance(result, str):
            raise EngineError(f"face tracking failed: {result}")
        self.cpu_seconds = result.cpu_seconds
        return result

    def close_tracker(self, key: int) -> None:
        """Frees one tracker: at the next picture, where another thread waits for its own. Never waits for that."""
        self._unused.append(key)
        if self._lock.acquire(blocking=False):
            try:
                with self._deadline.within(ANSWER_TIMEOUT):
                    self._free_unused()
            finally:
                self._lock.release()

    def close(self) -> None:
        """Ends the process; callers that wait for a result get EngineError."""
        self._ending()
        with self._lock:
            self._free()

    def _free_unused(self) -> None:
        while self._unused and self.alive:
            self._send(CloseRequest(self._unused.popleft()))

    def _send(self, request: TrackRequest | CloseRequest) -> None:
        assert self._process.stdin is not None
        try:
            pickle.dump(request, self._process.stdin, pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()
        except (OSError, ValueError) as error:  # the pipe is broken, or closed
            raise self._process_ended() from error

    def _process_ended(self) -> ProcessEndedError:
        """Ends the process, whose pipe is broken, and returns the error to raise."""
        self._ending()
        return ProcessEndedError(f"the process that tracks faces has ended (status {self._process.returncode})")

    def _write(self, planes: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]) -> str:
        """Copies planes into the shared memory, one after the other, and returns its name."""
        size = sum(plane.size for plane in planes)
        if self._memory is None or self._memory.size < size:
            self._free()
            self._memory = _shared_memory(size)
            weakref.finalize(self, _free, self._memory)
        start, buffer = 0, self._memory.buf
        assert buffer is not None
        for plane in planes:
            np.frombuffer(buffer, np.uint8, plane.size, start).reshape(plane.shape)[:] = plane
            start += plane.size
        return self._memory.name

    def _free(self) -> None:
        if self._memory is not None:
            _free(self._memory)
            self._memory = None


class PooledTracker:
    """Tracks like :class:`SpeakerTracker`, in another process; where that one ends, it starts anew in the next. Until
    that one is there, no face is found."""

    def __init__(self, trackers: TrackerPool, key: int, choice: Choice) -> None:
        self.choice = choice
        self.process = trackers.process_of(key)
        self._trackers = trackers
        self._key = key
        self._too_small = False

    @property
    def too_small(self) -> bool:
        """Says whether the last picture shows the face that speaks, but too narrow."""
        return self._too_small

    def __call__(self, picture: Picture) -> Face | None:
        """Returns the face that speaks in the next picture, or None where it is not visible. Raises EngineError."""
        try:
            result = self._track(picture)
        except ProcessEndedError as ended:
            log.debug("a picture is not tracked: %s", ended)
            self._too_small = False
            return None
        self._too_small = result.too_small
        return result.face

    def _track(self, picture: Picture) -> TrackResult:
        if self.process.alive:
            try:
                return self.process.track(self._key, self.choice, picture)
            except ProcessEndedError as ended:
                log.warning("%s: another one begins", ended)
        self.process = self._trackers.process_of(self._key)
        return self.process.track(self._key, self.choice, picture)

    def close(self) -> None:
        """Frees the tracker in its process."""
        self.process.close_tracker(self._key)


class TrackerPool:
    """Makes the trackers of all sessions: in ``processes`` others, in rotation, or with 0 in this one.

    A process that has ended is started again: at once where it had run for 30 s, otherwise after a pause, which doubles
    each time. Any thread may call.
    """

    def __init__(self, processes: int = 0) -> None:
        self._processes = [TrackerProcess() for _ in range(processes)]
        self._lock = threading.Lock()
        self._keys = count()
        self._pauses = [0.0] * processes  # seconds, before the next start of each

    @property
    def cpu_seconds(self) -> float:
        """Returns the CPU seconds that the processes have taken, up to their last results."""
        return sum(process.cpu_seconds for process in self._processes)

    def new(self, choice: Choice) -> Tracker:
        """Makes a tracker for a new session."""
        with self._lock:
            distances, key = bool(self._processes), next(self._keys)
        return PooledTracker(self, key, choice) if distances else SpeakerTracker(choice)

    def process_of(self, key: int) -> TrackerProcess:
        """Returns the process that has, or will have, a tracker. Raises `ProcessEndedError` while it is not to be
        started again yet, EngineError once the pool is closed."""
        with self._lock:
            if not self._processes:
                raise EngineError("faces are tracked no more: the models were closed")
            index = key % len(self._processes)
            if not self._processes[index].alive:
                self._processes[index] = self._restarted(index)
            return self._processes[index]

    def _restarted(self, index: int) -> TrackerProcess:
        """Starts a process in the place of one that has ended, once its pause is over."""
        ended = self._processes[index]
        ran = time.monotonic() - ended.began
        if ran < self._pauses[index]:
            raise ProcessEndedError("the process that tracks faces ended again, and pauses before its next start")
        ended.close()
        self._pauses[index] = 0.0 if ran > STEADY else min(max(FIRST_PAUSE, 2 * self._pauses[index]), LONGEST_PAUSE)
        return TrackerProcess()

    def close(self) -> None:
        """Ends the processes; sessions under way fail, new ones track in this process."""
        with self._lock:
            ended, self._processes = self._processes, []
        for process in ended:
            process.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(OSError):  # it has ended already, and something was left to be written
        process.stdin.close()
    try:
        process.wait(_EXIT_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def _shared_memory(size: int) -> SharedMemory:
    """Allocates shared memory; raises EngineError where there is no room, which the first write would else end this
    process by."""
    try:
        memory = SharedMemory(create=True, size=size)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(getattr(memory, "_fd"), 0, size)  # noqa: B009  it has no public name
        except OSError:
            _free(memory)
            raise
    except OSError as error:
        raise EngineError(
            f"no shared memory for a picture of {size / 1e6:.1f} MB: {error} (in a container: --shm-size)"
        ) from error
    return memory


def _free(memory: SharedMemory) -> None:
    memory.close()
    with suppress(FileNotFoundError):  # freed before
        memory.unlink()
