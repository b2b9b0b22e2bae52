"""Measures what the engine's threads have done, and what they are doing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from streamer.clock import SECOND_NS, Clock, thread_cpu_ns
from streamer.engine.admission import Load, Shared, StreamLoad
from streamer.engine.process_load import CpuTimes, ProcessLoad
from streamer.telemetry.metrics import job_histogram, step_histogram


class LoadMeter:
    """Figures of one engine. Any of its threads may count its jobs; others may read meanwhile.

    ``pools``: the names of all threads, by their kind. Those of the first kind run the models. A thread works while it
    computes, by ``cpu``; what it waits for a core, or for another thread, is no work. A thread of a kind that is
    ``on_device`` works while it waits, too: for a GPU that works meanwhile.
    """

    def __init__(
        self, clock: Clock, pools: Mapping[str, Sequence[str]], cpu: Callable[[], int] = thread_cpu_ns
    ) -> None:
        self.job_seconds = job_histogram()  # of those that run the models
        self.step_seconds = step_histogram()  # of batches of motion windows
        self.busy_ns = 0  # time spent in jobs, the sum over all threads
        self.jobs = 0
        self.windows = self.batches = 0  # of motion: sampled, and in how many batches
        self._steps = 0  # of all windows
        self._sampling_ns = self._engine_ns = 0  # time of the threads that run the models: in batches, and in all
        self._clock = clock
        self._pools = pools
        self._kinds = {name: kind for kind, names in pools.items() for name in names}
        self._loads = {name: Load(clock.now()) for names in pools.values() for name in names}
        self._run_models = frozenset(next(iter(pools.values())))
        self.on_device: frozenset[str] = frozenset()  # kinds of threads
        self._cpu = cpu
        self._process: ProcessLoad | None = None
        self._cores = 1
        self._began: dict[str, int] = {}  # thread -> when the job that it is at began
        self._lock = threading.Lock()

    @property
    def loads(self) -> dict[str, float]:
        """Returns, by kind, the share of the last seconds that its threads have worked, 0..1."""
        now = self._clock.now()
        return {
            kind: sum(self._loads[name].at(now) for name in names) / len(names) for kind, names in self._pools.items()
        }

    def watch_process(self, read: Callable[[], CpuTimes], cores: int) -> None:
        """Averages from here on what the process takes of its ``cores``, by what ``read`` gives."""
        with self._lock:
            self._process, self._cores = ProcessLoad(self._clock.now(), read), cores

    @property
    def shared(self) -> Shared | None:
        """Returns what the process has taken in the last seconds; None before it is watched."""
        now = self._clock.now()
        with self._lock:
            if (process := self._process) is None:
                return None
            process.look(now)
            engine = sum(load.at(now) for load in self._loads.values())
            return Shared(engine, process.process, process.loop, process.others, self._cores)

    @property
    def longest_ns(self) -> int:
        """Returns the nanoseconds that the oldest job under way has lasted; 0 where all threads rest."""
        now = self._clock.now()
        return max((now - began for began in list(self._began.values())), default=0)

    @contextmanager
    def job(self, stream: StreamLoad) -> Iterator[None]:
        """Times one job of the calling thread for a stream. One that fails is not counted."""
        name = threading.current_thread().name
        began = self._began[name] = self._clock.now()
        before = self._cpu()
        try:
            yield
        finally:
            del self._began[name]
        spent, ended = self._cpu() - before, self._clock.now()
        with self._lock:
            self.busy_ns += ended - began
            self.jobs += 1
            if (kind := self._kinds.get(name)) is not None:
                spent = ended - began if kind in self.on_device else spent
                self._loads[name].worked(began, ended, spent)
                stream.worked(kind, began, ended, spent)
            if name in self._run_models:
                self._engine_ns += ended - began
                self.job_seconds.observe((ended - began) / SECOND_NS)
            if self._process is not None:
                self._process.look(ended)

    def sampled(self, windows: int, steps: int, began: int) -> None:
        """Counts a batch of ``windows``, each of ``steps`` sampling steps, that began at ``began`` (ns) and is done."""
        lasted = self._clock.now() - began
        with self._lock:
            self.windows += windows
            self.batches += 1
            self._steps += steps * windows
            self._sampling_ns += lasted
            self.step_seconds.observe(lasted / SECOND_NS)

    def cost(self, steps: int) -> float:
        """Returns what a session of ``steps`` sampling steps costs the engine's threads, against the average so far."""
        with self._lock:
            if not self._steps or not self._engine_ns:
                return 1.0
            share = min(1.0, self._sampling_ns / self._engine_ns)
            return 1 - share + share * steps * self.windows / self._steps
