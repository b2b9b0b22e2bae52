"""What the engine's threads have done, and what they are at."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from streamer.admission import Load
from streamer.clock import SECOND_NS, Clock
from streamer.histogram import work_histogram


class Work:
    """Figures of one engine. Any of its threads may tell of its jobs; others may read meanwhile.

    ``engine_threads`` are the names of those that run the models: ``load`` is theirs.
    """

    def __init__(self, clock: Clock, engine_threads: Iterable[str]) -> None:
        self.job_seconds = work_histogram()  # of engine threads
        self.step_seconds = work_histogram()  # of batches of motion windows
        self.busy_ns = 0  # time spent in jobs, the sum over all threads
        self.jobs = 0
        self.windows = self.batches = 0  # of motion: sampled, and in how many batches
        self._clock = clock
        self._loads = {name: Load(clock.now()) for name in engine_threads}
        self._began: dict[str, int] = {}  # thread -> when the job that it is at began
        self._lock = threading.Lock()

    @property
    def load(self) -> float:
        """Share of what the engine threads could have done in the last seconds that they have, 0..1."""
        now = self._clock.now()
        return sum(load.at(now) for load in self._loads.values()) / len(self._loads)

    @property
    def longest_ns(self) -> int:
        """How long the job lasts that was begun first of those that threads are at; 0 where they rest."""
        now = self._clock.now()
        return max((now - began for began in list(self._began.values())), default=0)

    @contextmanager
    def job(self) -> Iterator[None]:
        """One job of the thread that calls. One that fails is not counted."""
        name = threading.current_thread().name
        began = self._began[name] = self._clock.now()
        try:
            yield
        finally:
            del self._began[name]
        ended = self._clock.now()
        with self._lock:
            self.busy_ns += ended - began
            self.jobs += 1
            if name in self._loads:
                self._loads[name].worked(began, ended)
                self.job_seconds.observe((ended - began) / SECOND_NS)

    def sampled(self, windows: int, began: int) -> None:
        """A batch of so many windows is done, which began then."""
        with self._lock:
            self.windows += windows
            self.batches += 1
            self.step_seconds.observe((self._clock.now() - began) / SECOND_NS)
