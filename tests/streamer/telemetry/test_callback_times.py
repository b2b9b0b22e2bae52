"""The tests' own clock of callbacks blames what the server computes, and nothing else."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.streamer.support.callback_times import LongCallback, callbacks_timed

SOURCE = """
import asyncio, time
def compute(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
async def outer(seconds):
    compute(seconds)
    await asyncio.sleep(0)
"""


def module(path: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(SOURCE, path, "exec"), names)
    return names


@pytest.fixture(autouse=True)
def _server_never_holds_the_loop() -> None:
    """Stands where the fixture of that name would blame the callbacks that these tests hold the loop with."""


OURS, ANOTHERS = module("/somewhere/streamer/made_up.py"), module("/somewhere/site-packages/library.py")


def timed(job: Callable[[], Any]) -> list[LongCallback]:
    """Returns the long callbacks of a loop that runs ``job``; the test's own task waits meanwhile."""

    async def main() -> None:
        task = asyncio.create_task(job())
        await task

    with callbacks_timed(limit=0.02) as found:
        asyncio.run(main())
    return found


def test_a_task_of_the_servers_that_computes_is_blamed_by_name() -> None:
    [long] = timed(lambda: OURS["outer"](0.05))
    assert long.is_the_servers
    assert 0.05 <= long.seconds < 0.5
    assert "streamer/made_up.py:outer" in str(long)


def test_a_plain_callback_of_the_servers_is_blamed() -> None:
    async def job() -> None:
        asyncio.get_running_loop().call_soon(OURS["compute"], 0.05)
        await asyncio.sleep(0.01)

    [long] = timed(job)
    assert long.is_the_servers


def test_libraries_alone_tests_and_collections_are_not_blamed() -> None:
    [long] = timed(lambda: ANOTHERS["outer"](0.05))
    assert not long.is_the_servers

    async def of_a_test() -> None:
        await OURS["outer"](0.05)

    assert not any(long.is_the_servers for long in timed(of_a_test))
    collecting = module("/somewhere/streamer/made_up.py")

    def collect(seconds: float) -> None:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            gc.collect()

    collecting["compute"] = collect
    assert timed(lambda: collecting["outer"](0.1)) == []


def test_many_short_callbacks_are_not_blamed() -> None:
    async def job() -> None:
        for _ in range(40):
            await OURS["outer"](0.002)

    assert timed(job) == []
