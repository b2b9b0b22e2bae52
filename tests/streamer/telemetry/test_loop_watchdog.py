"""The watchdog counts and names what holds the event loop, and is silent where nothing does."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import uvloop

from streamer.clock import SECOND_NS, FakeClock
from streamer.http.server import Running
from streamer.telemetry.loop_watchdog import COLLECTING, MOST_PLACES, OTHER, LoopWatchdog, StackFrame, Stall
from tests.streamer.support.http_client import Client
from tests.streamer.support.loop_stalls import report, to_blame

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]

OURS = ModuleType("streamer.made_up")
exec(
    "import gc, time\n"
    "def compute(seconds):\n"
    "    end = time.thread_time() + seconds\n"
    "    while time.thread_time() < end: pass\n"
    "async def outer(seconds): compute(seconds)\n"
    "async def collect():\n"
    "    end = time.thread_time() + 0.5\n"
    "    while time.thread_time() < end: gc.collect()\n",
    OURS.__dict__,
)


class Recording(LoopWatchdog):
    """Keeps the stalls of the test's own making."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Stall] = []

    def on_stall(self, stall: Stall) -> None:
        super().on_stall(stall)
        self.seen.append(stall)

    def of(self, name: str) -> list[Stall]:
        """Those in which a function of that name was the innermost one."""
        return [stall for stall in self.seen if stall.stack and stall.stack[-1].name.endswith(name)]


def watched(loop: Callable[[], Any], held: Callable[[], Any]) -> Recording:
    """Runs ``held`` on a new loop, and that loop until its stall is known."""

    async def main() -> Recording:
        watchdog = Recording()
        watchdog.start()
        try:
            await asyncio.sleep(0.2)  # a beat
            await held()
            await asyncio.sleep(0.2)
        finally:
            watchdog.close()
        return watchdog

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main())


@pytest.mark.parametrize("loop", LOOPS)
def test_what_computes_on_the_loop_is_named_and_its_time_is_counted(loop: Callable[[], Any]) -> None:
    async def held() -> None:
        await asyncio.create_task(OURS.outer(0.5))

    watchdog = watched(loop, held)
    [stall] = watchdog.of("made_up.compute")
    assert stall.place == "streamer.made_up.compute"
    assert stall.stack[0].name == "streamer.made_up.outer"
    assert stall.seconds > 0.15  # it began before its beat was due
    assert 0.3 < stall.cpu_seconds < 1
    assert watchdog.stalls["streamer.made_up.compute"] == 1
    assert to_blame(watchdog.seen) == [stall]
    assert "streamer.made_up.compute computed for" in report(stall)


@pytest.mark.parametrize("loop", LOOPS)
def test_what_waits_on_the_loop_is_a_stall_without_computing(loop: Callable[[], Any]) -> None:
    async def held() -> None:
        time.sleep(0.5)  # noqa: ASYNC251 (what must not be done)

    watchdog = watched(loop, held)
    [stall] = watchdog.of("<locals>.held")
    assert stall.seconds > 0.15
    assert stall.cpu_seconds < 0.15
    assert stall.place.endswith("<locals>.main")  # the coroutine of the task, as nothing in it is the server's
    assert not to_blame(watchdog.seen)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_that_turns_is_not_blamed_for_all_that_it_does(loop: Callable[[], Any]) -> None:
    async def held() -> None:
        for _ in range(300):
            OURS.compute(0.001)
            await asyncio.sleep(0)

    seen = watched(loop, held).seen
    assert not [stall for stall in seen if stall.cpu_seconds > 0.15]  # a busy machine may hold any thread for a while


@pytest.mark.parametrize("loop", LOOPS)
def test_a_collection_of_garbage_is_named_and_nobody_is_blamed(loop: Callable[[], Any]) -> None:
    OURS.__dict__["garbage"] = [[] for _ in range(2_000_000)]  # what a collection walks

    async def held() -> None:
        await asyncio.create_task(OURS.collect())

    watchdog = watched(loop, held)
    OURS.__dict__["garbage"].clear()
    stall = max(watchdog.seen, key=lambda one: one.collecting_seconds)  # of a busy machine the thread may see nothing
    assert stall.place == COLLECTING
    assert 0.25 < stall.collecting_seconds <= stall.cpu_seconds
    assert not to_blame(watchdog.seen)
    assert watchdog._on_collection not in gc.callbacks


async def test_a_watchdog_that_is_closed_leaves_no_thread() -> None:
    watchdog = LoopWatchdog()
    watchdog.start()
    assert any(thread.name == "loop watchdog" for thread in threading.enumerate())
    watchdog.close()
    assert not any(thread.name == "loop watchdog" for thread in threading.enumerate())


def stall_at(place: str, seconds: float = 0.03) -> Stall:
    return Stall(seconds, seconds, place, (StackFrame("streamer.made_up", place, 1),))


def test_places_are_bounded() -> None:
    watchdog = LoopWatchdog()
    for number in range(3 * MOST_PLACES):
        watchdog.on_stall(stall_at(f"place {number}"))
    watchdog.on_stall(stall_at("place 0"))
    assert len(watchdog.stalls) == MOST_PLACES + 1
    assert watchdog.stalls["place 0"] == 2
    assert watchdog.stalls[OTHER] == 2 * MOST_PLACES


def test_the_log_tells_of_long_stalls_one_line_in_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    watchdog = LoopWatchdog(clock)
    watchdog.on_stall(stall_at("short", 0.05))
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            watchdog.on_stall(stall_at("long", 0.5))
        asyncio.run(clock.advance(11 * SECOND_NS))
        watchdog.on_stall(stall_at("last", 0.5))
    first, last = (getattr(record, "data", {}) for record in caplog.records)
    assert (first["place"], first["stalls"], first["ms"]) == ("long", 1, 500)
    assert (last["place"], last["stalls"], last["stood"]) == ("last", 5, "streamer.made_up.last:1")


@pytest.mark.parametrize(
    ("stall", "logged"),
    [
        (Stall(0.3, 0.001, "waiting", ()), False),  # a busy machine gave the loop no core
        (Stall(5.0, 0.001, "waiting", ()), False),
        (Stall(0.3, 0.02, "a callback", (StackFrame("streamer.made_up", "act", 1),)), False),
        (Stall(0.3, 0.2, "a callback", (StackFrame("streamer.made_up", "act", 1),)), True),
        (Stall(1.5, 0.001, "a file", (StackFrame("streamer.made_up", "read", 1),)), True),
    ],
)
def test_a_busy_machine_is_counted_and_not_logged(stall: Stall, logged: bool, caplog: pytest.LogCaptureFixture) -> None:
    watchdog = LoopWatchdog()
    with caplog.at_level(logging.WARNING):
        watchdog.on_stall(stall)
    assert watchdog.stalls[stall.place] == 1
    assert bool(caplog.records) is logged


async def test_a_server_counts_what_holds_its_loop(client: Client, server: Running) -> None:
    await asyncio.sleep(0.2)  # a beat
    time.sleep(0.5)  # noqa: ASYNC251 (what must not be done)
    await asyncio.sleep(0.2)
    figures = await client.figures()
    assert figures[f'mytalk_loop_stalls_total{{place="{__name__}.test_a_server_counts_what_holds_its_loop"}}'] == 1
    assert figures["mytalk_loop_stall_seconds_count"] >= 1


def test_a_test_is_not_blamed_for_what_a_peer_or_the_test_does() -> None:
    server, library = StackFrame("streamer.session", "act", 1), StackFrame("aiortc.rtp", "parse", 1)
    test, aiohttp = StackFrame("tests.streamer.x", "test", 1), StackFrame("aiohttp.web_protocol", "start", 1)
    stacks = [(server, library), (aiohttp, library), (library,), (test, server), ()]
    stalls = [Stall(1.0, 1.0, "a place", stack) for stack in stacks]
    assert to_blame(stalls) == stalls[:2]
    assert not to_blame([Stall(9.0, 0.1, "a place", (server,))])
