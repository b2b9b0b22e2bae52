"""The engine: one thread that runs the models, one that tracks faces, shared by every session of the process.

asyncio hands work over through a seat and gets results back by ``call_soon_threadsafe``; nothing here waits for a
session, and the loop never waits for a model. The threads go round the seats and do one job at each, so a session that
is slow or dead keeps nobody waiting for longer than one job. Motion windows that are ready together are sampled in one
batch.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from mytalk.errors import EngineError
from streamer.admission import Load
from streamer.batching import Batching
from streamer.clock import SECOND_NS, Clock
from streamer.histogram import work_histogram
from streamer.lipsync import Models
from streamer.seat import Deliver, Fail, OpenStream, Seat

if TYPE_CHECKING:
    from mytalk.motion.batch import MotionRequest

log = logging.getLogger(__name__)

STUCK = 60 * SECOND_NS
"""A job that takes longer than this will not end: a driver hangs."""

RESTARTS = 1
"""How often an engine that ran begins again after a failure: the models are loaded anew."""


class Engine:
    """Owns the models. ``state``: loading -> ready -> closed, or failed with ``failure``; then loading once more.

    ``ready`` is set while the state is that. Every session that was seated when the engine failed is told.
    """

    def __init__(self, load: Callable[[], Models], clock: Clock) -> None:
        self.state = "loading"
        self.ready = asyncio.Event()
        self.failures = 0
        self.steps = 1  # sampling steps of a session that asks for none, once the models are there
        self.failure: BaseException | None = None
        self.job_seconds = work_histogram()  # of the engine thread
        self.step_seconds = work_histogram()  # of batches of motion windows
        self.busy_ns = 0  # time spent in jobs, both threads
        self.jobs = 0
        self.windows = self.batches = 0  # of motion: sampled, and in how many batches
        self._load = load
        self._clock = clock
        self._batching = Batching()
        self._load_now = Load(clock.now())
        self._working: dict[str, int] = {}  # thread -> when its job began
        self._models: Models | None = None
        self._seats: list[Seat] = []
        self._wake = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loaded: asyncio.Future[None] | None = None
        self._restarting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Starts the threads and loads the models; raises what loading raises."""
        self._loop = asyncio.get_running_loop()
        self._loaded = self._loop.create_future()
        self._start_threads()
        await asyncio.shield(self._loaded)

    async def close(self) -> None:
        """Ends every seat and both threads; returns within the job under way, 5 s at most."""
        with self._wake:
            self.state = "closed"
            for seat in self._seats:
                seat.closing = True
            self._wake.notify_all()
        self.ready.clear()
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)
        for thread in self._threads:
            await asyncio.to_thread(thread.join, 5)
            if thread.is_alive():
                log.error("the %s thread did not end within 5 s", thread.name)

    def seat(self, open_stream: OpenStream, deliver: Deliver, fail: Fail, base: int = 0, name: str = "") -> Seat:
        """A place for the session ``name`` (its id) from media time ``base`` on.

        ``deliver`` and ``fail`` are called on the loop, ``open_stream`` on the thread. Raises ``EngineError`` where the
        engine is not ready.
        """
        if self.state != "ready" or self._loop is None:
            raise EngineError(f"the engine is {self.state} (need it ready; see /readyz)")
        seat = Seat(open_stream, self._notify, self._post, deliver, fail, base, name)
        with self._wake:
            self._seats.append(seat)
            self._wake.notify_all()
        return seat

    @property
    def seats(self) -> int:
        """Seats taken, those being freed included."""
        return len(self._seats)

    @property
    def condition(self) -> str:
        """``state``, or ``stuck``: ready, but a thread is gone or has been at one job for a minute."""
        if self.state != "ready":
            return self.state
        late = [began for began in list(self._working.values()) if self._clock.now() - began > STUCK]
        return "stuck" if late or not all(thread.is_alive() for thread in self._threads) else "ready"

    @property
    def load(self) -> float:
        """Share of the last seconds that the engine thread has worked, 0..1."""
        return self._load_now.at(self._clock.now())

    def _start_threads(self) -> None:
        self._working.clear()
        for target, name in ((self._run_engine, "engine"), (self._run_tracker, "tracker")):
            thread = threading.Thread(target=target, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    async def _restart(self) -> None:
        """Once both threads have ended. One that hangs in a driver is left, and the engine stays failed."""
        for thread in self._threads:
            await asyncio.to_thread(thread.join, 5)
            if thread.is_alive():
                log.error("the %s thread did not end: the engine cannot begin again (restart the server)", thread.name)
                return
        self._threads.clear()
        with self._wake:
            if self.state == "closed":
                return
            self.state = "loading"
        self._start_threads()

    def _notify(self) -> None:
        with self._wake:
            self._wake.notify_all()

    def _post(self, callback: Callable[[], None]) -> None:
        """Runs ``callback`` on the event loop, from any thread; does nothing once the loop is gone."""
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            log.debug("the event loop is closed; a result is dropped")

    # --- the engine thread

    def _run_engine(self) -> None:
        try:
            self._models = self._load()
            self.steps = self._models.steps
        except BaseException as failure:  # reported to whoever started the engine
            self._fail(failure)
            return
        with self._wake:
            if self.state != "loading":  # closed meanwhile
                return
            self.state = "ready"
        self._post(self._report_loaded)
        try:
            for seat in self._jobs(lambda seat: seat.has_job):
                self._engine_job(seat)
        except BaseException as failure:
            log.exception("the engine thread failed")
            self._fail(failure)
        finally:
            self._models = None
            for seat in list(self._seats):
                seat.free()
            with self._wake:
                self._seats.clear()

    def _engine_job(self, seat: Seat) -> None:
        if seat.closing:
            seat.free()
            with self._wake:
                self._seats.remove(seat)
            return
        began = self._begin_job()
        assert self._models is not None
        seat.open(self._models)
        if (request := seat.take_in()) is not None:
            self._move(self._models, seat, request)
        seat.finish_one()
        ended = self._count(began)
        self._load_now.worked(began, ended)
        self.job_seconds.observe((ended - began) / SECOND_NS)

    def _move(self, models: Models, seat: Seat, request: MotionRequest) -> None:
        """Samples a seat's window, and those that other seats have ready in the same batch."""
        others = [other for other in list(self._seats) if other is not seat and other.is_open]
        wishes = [(seat, request)]
        wishes += [(other, asked) for other in others if (asked := other.take_in()) is not None]
        batch = self._batching.schedule([asked.steps for _, asked in wishes])
        chosen = [wishes[place] for place in batch.places]
        began = self._clock.now()
        try:
            motion = models.sample([asked for _, asked in chosen])
        except Exception:  # the device's memory, or one session's window
            log.exception("a batch of %d windows could not be sampled: each is sampled alone", len(chosen))
            self._batching.update(batch, fitted=False)
            return  # each seat's own next job does it, and fails that seat alone
        self._batching.update(batch, fitted=True)
        self.step_seconds.observe((self._clock.now() - began) / SECOND_NS)
        self.windows += len(chosen)
        self.batches += 1
        for (one, asked), rows in zip(chosen, motion, strict=True):
            one.accept(asked, rows)

    # --- the tracker thread

    def _run_tracker(self) -> None:
        try:
            for seat in self._jobs(lambda seat: seat.has_untracked):
                began = self._begin_job()
                seat.track_one()
                self._count(began)
        except BaseException as failure:
            log.exception("the tracker thread failed")
            self._fail(failure)

    # --- both

    def _jobs(self, has_job: Callable[[Seat], bool]) -> Iterator[Seat]:
        """Seats with work, each in its turn, until the engine closes or fails."""
        turn = 0
        while True:
            with self._wake:
                while True:
                    if self.state in ("closed", "failed"):
                        return
                    ring = self._seats[turn:] + self._seats[:turn]
                    seat = next((seat for seat in ring if has_job(seat)), None)
                    if seat is not None:
                        break
                    self._wake.wait()
                turn = (self._seats.index(seat) + 1) % len(self._seats)
            yield seat

    def _begin_job(self) -> int:
        began = self._working[threading.current_thread().name] = self._clock.now()
        return began

    def _count(self, began: int) -> int:
        ended = self._clock.now()
        del self._working[threading.current_thread().name]
        self.busy_ns += ended - began
        self.jobs += 1
        return ended

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
        """Every session learns that the engine is gone; `/readyz` turns 503 until it has begun again."""
        with self._wake:
            if self.state in ("closed", "failed"):
                return
            ran = self.state == "ready"
            self.state, self.failure = "failed", failure
            self.failures += 1
            seats = list(self._seats)
            self._wake.notify_all()
        self._post(lambda: self._failed(ran))  # first: whoever hears of it waits for ``ready``
        for seat in seats:
            seat.report(EngineError(f"the engine failed: {type(failure).__name__}: {failure}"), lost=True)

    def _failed(self, ran: bool) -> None:
        """On the loop."""
        self.ready.clear()
        self._report_loaded()
        if ran and self.failures <= RESTARTS:
            self._restarting = asyncio.create_task(self._restart(), name="restart the engine")
