"""Memory of ended sessions is given back soon, and not while walking everybody's objects would hold the event loop."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from streamer.clock import FakeClock
from streamer.executors import Pool
from streamer.session import freed_memory
from streamer.session.freed_memory import FEW_VIEWERS, MANY_ENDED, PAUSE, RARELY, give_memory_back, settle_collector


class Sessions:
    """Stands for the registry: how many have ended, and one session with so many viewers."""

    def __init__(self) -> None:
        self.ended = Counter[str]()
        self.viewers = 0

    def all(self) -> list[Any]:
        return [SimpleNamespace(connections=SimpleNamespace(viewers=range(self.viewers)))]


class Circle:
    """Refers to itself: only the collector frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def trims(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Grows by one each time that pages are returned."""
    done: list[None] = []
    monkeypatch.setattr(freed_memory, "return_free_pages", lambda: done.append(None))
    return done


async def looks(clock: FakeClock, pool: Pool, count: int = 1) -> None:
    """Lets the task look so many times, and its jobs end."""
    for _ in range(count):
        await clock.advance(PAUSE)
        await pool.run(bool)  # after the task's own: there is one thread
        await asyncio.sleep(0)


async def test_garbage_goes_and_pages_are_returned_after_sessions_and_viewers_have_gone(trims: list[None]) -> None:
    clock, pool, sessions = FakeClock(), Pool("blocking", 1, 4), Sessions()
    task = asyncio.create_task(give_memory_back(sessions, pool, clock))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    gc.collect()
    gc.disable()
    try:
        left = weakref.ref(Circle())
        await looks(clock, pool, 2)
        assert left() is not None
        assert not trims
        sessions.ended["its client left"] += 1
        await looks(clock, pool)
        assert left() is None
        later = weakref.ref(Circle())  # a slot that the engine freed after it
        await looks(clock, pool)
        assert later() is None
        await looks(clock, pool, 3)
        assert len(trims) == 2
        sessions.viewers = FEW_VIEWERS + 1
        sessions.ended["its client left"] += 1
        left = weakref.ref(Circle())
        await looks(clock, pool, 2)
        assert left() is not None
        assert len(trims) == 4
        sessions.ended["its client left"] += MANY_ENDED - 1
        await looks(clock, pool)
        assert left() is None
        await looks(clock, pool, 3)
        assert len(trims) == 6
        sessions.viewers -= 1
        await looks(clock, pool, 3)
        assert len(trims) == 8
    finally:
        gc.enable()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        pool.close()


def test_what_is_loaded_is_not_walked_again() -> None:
    before = gc.get_threshold()
    settle_collector()
    try:
        assert len(gc.get_objects()) < 1000
        assert gc.get_threshold()[:2] == before[:2]
        assert gc.get_threshold()[2] in (RARELY, 0)  # Python 3.14 has no oldest generation to count for
    finally:
        gc.set_threshold(*before)
