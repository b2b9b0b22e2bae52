"""Slow disks and networks delay no encoding, and every pool keeps its bound."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from streamer.errors import BusyError
from streamer.executors import BLOCKING_THREADS, Executors, Pool
from streamer.outputs import recorder
from streamer.outputs.recorder import Recorder
from streamer.telemetry import logs
from streamer.webrtc.broadcast import Broadcast
from streamer.webrtc.encoded import Encoded
from tests.streamer.support.broadcasts import encoded_of
from tests.streamer.support.waiting import eventually

PATIENCE = 60


class Large:
    """Is what a job works on."""


class Viewer:
    """Keeps the pictures that it is sent."""

    codec: str | None = "h264"
    rate = 2_000_000

    def __init__(self, broadcast: Broadcast) -> None:
        self.pictures: list[Encoded] = []
        broadcast.join(self)

    def sound(self, encoded: Encoded) -> None:
        """Ignores sound: the tests look at pictures."""

    def picture(self, encoded: Encoded) -> None:
        self.pictures.append(encoded)


@pytest.fixture
async def executors() -> AsyncIterator[Executors]:
    executors = Executors(cores=1)
    yield executors
    executors.close()


@pytest.fixture
def released() -> Iterator[threading.Event]:
    """Gives the event that stuck jobs wait for."""
    event = threading.Event()
    yield event
    event.set()


async def test_stuck_probes_do_not_delay_encoding(executors: Executors, released: threading.Event) -> None:
    stuck = [asyncio.create_task(executors.blocking.run(released.wait, PATIENCE)) for _ in range(BLOCKING_THREADS * 3)]
    broadcast = Broadcast(executors.codecs)
    viewer = Viewer(broadcast)
    await encoded_of(broadcast, [n * 3600 for n in range(10)])
    assert len(viewer.pictures) == 10
    assert not any(task.done() for task in stuck)
    released.set()
    assert await asyncio.gather(*stuck) == [True] * len(stuck)


async def test_recordings_that_cannot_be_finished_do_not_delay_encoding(
    executors: Executors, released: threading.Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "CLOSE_TIMEOUT", PATIENCE)
    monkeypatch.setattr(recorder.Recorder, "_write", lambda self: released.wait(PATIENCE) and None)
    broadcast = Broadcast(executors.codecs)
    films = [Recorder(tmp_path / f"{number}.mp4", broadcast, pytest.fail) for number in range(12)]
    closing = [asyncio.create_task(film.close()) for film in films]
    viewer = Viewer(broadcast)
    await encoded_of(broadcast, [n * 3600 for n in range(10)])
    assert len(viewer.pictures) == 10
    assert not any(task.done() for task in closing)
    released.set()
    await asyncio.gather(*closing)


async def test_a_full_pool_refuses_a_requests_work_and_keeps_the_servers_own(released: threading.Event) -> None:
    pool = Pool("blocking", threads=1, waiting=1)
    stuck = [asyncio.create_task(pool.run(released.wait, PATIENCE)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(BusyError, match="ask again"):
        await pool.run_or_refuse(int)
    own = asyncio.create_task(pool.run(int))
    await asyncio.sleep(0)
    assert not own.done()
    released.set()
    assert await own == 0
    await asyncio.gather(*stuck)
    assert await pool.run_or_refuse(int) == 0
    pool.close()


async def test_a_job_keeps_its_room_when_its_caller_is_cancelled(released: threading.Event) -> None:
    pool, began = Pool("blocking", threads=1, waiting=0), threading.Event()

    def work() -> None:
        began.set()
        released.wait(PATIENCE)

    caller = asyncio.create_task(pool.run(work))
    await asyncio.to_thread(began.wait, PATIENCE)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    with pytest.raises(BusyError):
        await pool.run_or_refuse(int)
    released.set()
    assert await pool.run(int) == 0
    pool.close()


async def test_a_job_that_waits_is_dropped_when_its_caller_is_cancelled(released: threading.Event) -> None:
    pool, done = Pool("blocking", threads=1, waiting=1), list[int]()
    stuck = asyncio.create_task(pool.run(released.wait, PATIENCE))
    waits = asyncio.create_task(pool.run(done.append, 1))
    await asyncio.sleep(0)
    waits.cancel()
    await asyncio.gather(waits, return_exceptions=True)
    released.set()
    await stuck
    await pool.run(done.append, 2)
    assert done == [2]
    pool.close()


async def test_what_a_job_logs_belongs_to_its_callers_session(executors: Executors) -> None:
    with logs.of_session("0123456789"):
        assert await executors.blocking.run(logs._session.get) == "01234567"


async def test_a_jobs_exception_reaches_its_caller(executors: Executors) -> None:
    with pytest.raises(ZeroDivisionError):
        await executors.codecs.run(lambda: 1 // 0)


def test_no_thread_starts_before_its_first_job() -> None:
    before = threading.active_count()
    executors = Executors(cores=64)
    assert threading.active_count() == before
    executors.close()


async def test_what_a_failed_job_worked_on_is_freed_at_once() -> None:
    pool, large = Pool("test", threads=1, waiting=1), Large()
    seen = weakref.ref(large)

    def fails(_: Large) -> None:
        raise ValueError("it cannot be done")

    gc.disable()
    try:
        with suppress(ValueError):
            await pool.run(fails, large)
        del large
        await eventually(lambda: seen() is None)  # the pool's thread lets go of it too
    finally:
        gc.enable()
        pool.close()
