"""The engine: threads that run the models, track faces and hear speech, shared by every session of the process.

asyncio hands work over through a slot and gets results back by ``call_soon_threadsafe``; nothing here waits for a
session, and the loop never waits for a model. Each kind of threads goes round the slots and does one job at each, so a
session that is slow or dead keeps none waiting for longer than one job. No two threads of a kind are at one slot, so
its jobs stay in order. Motion windows that are ready together are sampled in one batch, by one thread.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from mytalk.errors import EngineError
from streamer.clock import SECOND_NS, Clock, cpu_clock_of_this_thread, process_cpu_ns
from streamer.cpu import ONE_EACH, Threads, available_cores, machine_cpu_seconds
from streamer.engine.admission import StreamLoad, refusal
from streamer.engine.interfaces import Models
from streamer.engine.load import LoadMeter
from streamer.engine.motion_batches import MotionBatches
from streamer.engine.process_load import cpu_times
from streamer.engine.slot import Deliver, EngineSlot, Fail, OpenStream, ReadControls
from streamer.engine.worker_pool import WorkerPool

log = logging.getLogger(__name__)

STUCK = 60 * SECOND_NS
"""A job that takes longer than this will not end: a driver hangs."""

RESTARTS = 1
"""How often an engine that ran begins again after a failure: the models are loaded anew."""

ENDING = 5 * SECOND_NS
"""Time in which all threads have to end after ``close`` or a failure."""


class Engine:
    """Owns the models. ``state``: loading -> ready -> closed, or failed with ``failure``; then loading once more.

    ``ready`` is set while the state is that. Each session with a slot learns when the engine fails. One thread loads
    the models; the others begin when they are there, and all end when one of them fails.
    """

    def __init__(self, load: Callable[[], Models], clock: Clock, threads: Threads = ONE_EACH) -> None:
        self.state = "loading"
        self.ready = asyncio.Event()
        self.failures = 0
        self.steps = 1  # sampling steps of a session that asks for none, once the models are there
        self.failure: BaseException | None = None
        self.threads = threads  # how many there are of each kind
        self._engine_names = [f"engine-{number}" for number in range(1, threads.engine + 1)]
        self._tracker_names = [f"tracker-{number}" for number in range(1, threads.tracker + 1)]
        self._listener_names = [f"listener-{number}" for number in range(1, threads.listener + 1)]
        self.load = LoadMeter(
            clock,
            {"engine": self._engine_names, "tracker": self._tracker_names, "listener": self._listener_names},
        )
        self._load_models = load
        self._clock = clock
        self._lock = threading.Lock()  # held to look at or change the state, the pools' turns, and the batches
        self._engines = WorkerPool(self._lock, lambda slot: slot.has_job, lambda: self.state == "ready")
        self._trackers = WorkerPool(self._lock, lambda slot: slot.has_untracked, lambda: self.state == "ready")
        self._listeners = WorkerPool(self._lock, lambda slot: slot.has_unheard, lambda: self.state == "ready")
        self._pools = (self._engines, self._trackers, self._listeners)
        self._motion = MotionBatches(self._engines, self.load, clock, self._lock, threads.engine)
        self._threads: list[threading.Thread] = []
        self._ended: dict[str, asyncio.Event] = {}  # by name, whether a thread has nothing left to do
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loaded: asyncio.Future[None] | None = None
        self._restarting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Loads the models and starts the threads; raises what loading raises."""
        self._loop = asyncio.get_running_loop()
        self._loaded = self._loop.create_future()
        loop_cpu = cpu_clock_of_this_thread()
        self.load.watch_process(lambda: cpu_times(process_cpu_ns, loop_cpu, machine_cpu_seconds), available_cores())
        self._start_thread(self._run_first, self._engine_names[0])
        await asyncio.shield(self._loaded)

    async def close(self) -> None:
        """Ends every slot and all threads; returns within the jobs under way, 5 s at most.

        A thread that still loads models is not waited for: it imports and compiles, which nothing can end, and begins
        nothing once it is done.
        """
        with self._lock:
            loads = self.state == "loading"
            self.state = "closed"
            for slot in self._engines.slots:
                slot.closing = True
            self._look_all()
        self.ready.clear()
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)
        if loads:
            return
        for name in await self._join():
            log.error("the thread %s did not end within 5 s", name)

    def open_slot(
        self,
        *,
        open_stream: OpenStream,
        controls: ReadControls,
        deliver: Deliver,
        fail: Fail,
        base: int = 0,
        generation: int = 0,
        name: str = "",
    ) -> EngineSlot:
        """Opens a slot for the session ``name`` (its id) from media time ``base`` and ``generation`` on.

        ``deliver`` and ``fail`` are called on the loop, ``open_stream`` and ``controls`` on an engine thread. Raises
        ``EngineError`` where the engine is not ready.
        """
        with self._lock:
            if self.state != "ready":
                raise EngineError(f"the engine is {self.state} (need it ready; see /readyz)")
            slot = EngineSlot(
                open_stream=open_stream,
                controls=controls,
                deliver=deliver,
                fail=fail,
                notify=self._notify,
                post=self._post,
                load=StreamLoad(self._clock.now()),
                base=base,
                generation=generation,
                name=name,
            )
            for pool in self._pools:
                pool.slots.add(slot)
            self._engines.look()
        return slot

    @property
    def slots(self) -> int:
        """Counts the slots taken, those being freed included."""
        return len(self._engines.slots)

    @property
    def condition(self) -> str:
        """Returns ``state``, or ``stuck``: ready, but a thread is gone or has been at one job for a minute."""
        if self.state != "ready":
            return self.state
        alive = all(thread.is_alive() for thread in list(self._threads))
        return "ready" if alive and self.load.longest_ns <= STUCK else "stuck"

    @property
    def loads(self) -> dict[str, float]:
        """Returns the share of the last seconds that the threads of each kind have worked, 0..1."""
        return self.load.loads

    def refusal(self, steps: int, instead_of: int | None = None) -> str | None:
        """Says why there is no time for another session of ``steps`` sampling steps, or for one that has so many
        ``instead_of`` fewer; None: there is."""
        now = self._clock.now()
        streams = [slot.load.at(now) for slot in self._engines.slots if not slot.closing]
        threads, shared = self.threads._asdict(), self.load.shared
        if instead_of is None:
            return refusal(streams, threads, {"engine": self.load.cost(steps)}, shared)
        more = self.load.cost(steps) - self.load.cost(instead_of)
        return refusal(streams, threads, dict.fromkeys(threads, 0.0) | {"engine": more}, shared)

    def _start_thread(self, target: Callable[[], None], name: str) -> None:
        ended = self._ended[name] = asyncio.Event()

        def run() -> None:
            try:
                target()
            finally:
                self._post(ended.set)

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    async def _join(self) -> list[str]:
        """Waits for all threads to end, 5 s at most; the names of those that did not."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ENDING / SECOND_NS):
                await asyncio.gather(*(ended.wait() for ended in self._ended.values()))
        for thread in self._threads:
            if self._ended[thread.name].is_set():
                thread.join()
        return [thread.name for thread in self._threads if thread.is_alive()]

    async def _restart(self) -> None:
        """Begins again once all threads have ended. One that hangs in a driver is left, and the engine stays failed."""
        if left := await self._join():
            log.error("%s did not end: the engine cannot begin again (restart the server)", ", ".join(left))
            return
        self._threads.clear()
        self._ended.clear()
        with self._lock:
            if self.state == "closed":
                return
            self.state = "loading"
        self._start_thread(self._run_first, self._engine_names[0])

    def _notify(self) -> None:
        """Wakes one thread of each kind, where one rests: a slot may have work."""
        with self._lock:
            for pool in self._pools:
                pool.look()

    def _look_all(self) -> None:
        for pool in self._pools:
            pool.look_all()

    def _post(self, callback: Callable[[], None]) -> None:
        """Runs ``callback`` on the event loop, from any thread; does nothing once the loop is gone."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            log.debug("the event loop is closed; a result is dropped")

    # --- engine threads

    def _run_first(self) -> None:
        """Loads the models; then the other threads begin, and this one is one of them."""
        try:
            models = self._load_models()
            if not self._begin(models):
                return
        except BaseException as failure:  # reported to whoever started the engine
            self._fail(failure)
            return
        self._post(self._report_loaded)
        self._run_engine(models)

    def _begin(self, models: Models) -> bool:
        """Starts the other threads; says whether the engine has not been closed meanwhile."""
        with self._lock:
            if self.state != "loading":
                return False
            self.steps = models.steps
            self.load.on_device = frozenset() if models.device == "cpu" else frozenset(("engine", "listener"))
            for name in self._engine_names[1:]:
                self._start_thread(partial(self._run_engine, models), name)
            for name in self._tracker_names:
                self._start_thread(partial(self._run_beside, self._trackers, EngineSlot.track_one), name)
            for name in self._listener_names:
                self._start_thread(partial(self._run_beside, self._listeners, EngineSlot.hear_some), name)
            self.state = "ready"
        return True

    def _run_engine(self, models: Models) -> None:
        try:
            while (slot := self._engines.take()) is not None:
                self._engine_job(models, slot)
                self._engines.give_back(slot)
        except BaseException as failure:
            log.exception("an engine thread failed")
            self._fail(failure)
        finally:
            self._free_slots()

    def _engine_job(self, models: Models, slot: EngineSlot) -> None:
        if slot.closing:
            self._free(slot)
            return
        with self.load.job(slot.load):
            slot.open(models)
            if (request := slot.take_in()) is not None:
                self._motion.sample(models, slot, request)
            slot.finish_one()

    def _free(self, slot: EngineSlot) -> None:
        slot.free()
        with self._lock:
            for pool in self._pools:
                pool.slots.remove(slot)

    def _free_slots(self) -> None:
        """Frees the slots of a thread that ends, and those that no thread holds. Each of the others does so too."""
        self._engines.leave()
        while (slot := self._engines.take_beside(lambda one: True)) is not None:
            self._free(slot)

    # --- tracker and listener threads

    def _run_beside(self, pool: WorkerPool, do: Callable[[EngineSlot], None]) -> None:
        try:
            while (slot := pool.take()) is not None:
                with self.load.job(slot.load):
                    do(slot)
                pool.give_back(slot)
        except BaseException as failure:
            log.exception("the thread %s failed", threading.current_thread().name)
            self._fail(failure)

    # --- loaded, or failed

    def _report_loaded(self) -> None:
        """On the loop."""
        assert self._loaded is not None
        if self.state == "ready":
            self.ready.set()
        if self._loaded.done():
            return
        if self.failure is not None:
            self._loaded.set_exception(self.failure)
        else:
            self._loaded.set_result(None)

    def _fail(self, failure: BaseException) -> None:
        """Reports the failure to every session; `/readyz` turns 503 until the engine has begun again."""
        with self._lock:
            if self.state in ("closed", "failed"):
                return
            ran = self.state == "ready"
            self.state = "failed"
            self.failure = failure.with_traceback(None) if ran else failure  # its frames hold the models
            self.failures += 1
            slots = list(self._engines.slots)
            self._look_all()
        self._post(lambda: self._failed(ran))  # first: whoever hears of it waits for ``ready``
        for slot in slots:
            slot.report(EngineError(f"the engine failed: {type(failure).__name__}: {failure}"), lost=True)

    def _failed(self, ran: bool) -> None:
        """On the loop."""
        self.ready.clear()
        self._report_loaded()
        if ran and self.failures <= RESTARTS:
            self._restarting = asyncio.create_task(self._restart(), name="restart the engine")
