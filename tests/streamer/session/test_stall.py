"""A stall of the process or of the engine: sessions are dubbed and in sync again within two seconds."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from mytalk.media.face_source import open_face
from streamer.clock import MILLISECOND_NS, SAMPLE_NS, SECOND_NS, SystemClock
from streamer.config.server_config import ServerConfig
from streamer.engine.engine import Engine
from streamer.media.looped_speech import LoopedSpeech
from tests.streamer.support.calls import STEP, Call
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.honest_session import honest_session
from tests.streamer.support.http_client import Client
from tests.streamer.support.slot_owners import WatchedStream, WindowedModels
from tests.streamer.support.waiting import LIMIT_S, eventually

BACK = 2 * SECOND_NS
"""Time in which a session has to be dubbed and in sync again."""


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine(FakeModels, SystemClock())
    await engine.start()
    yield engine
    await engine.close()


def live(engine: Engine, config: ServerConfig) -> Call:
    return Call(engine, camera=True)


def stored(engine: Engine, config: ServerConfig) -> Call:
    return Call(engine, LoopedSpeech.read(config.demo_speech_path), open_face(config.portrait_path))


def lateness(call: Call) -> tuple[float, float]:
    """Milliseconds by which the last sound and the last picture left later than their time. Media time begins at 0."""
    delay = call.live.stats()["delay_ms"]
    assert isinstance(delay, int)
    ats = call.peer.chunks[-1].at, call.peer.seen[-1][0].at
    sound, picture = ((call.clock.now() - at * SAMPLE_NS) / MILLISECOND_NS - delay for at in ats)
    return sound, picture


async def hear(call: Call, nanoseconds: int) -> list[int]:
    """Moves time on, never before the engine's threads have done what they can; returns the words that leave."""

    def at_work() -> bool:
        waiting = call.live.queues() if call.media.loop is not None else {}
        lag = call.live.stats()["lag_ms"] if waiting else 0
        assert isinstance(lag, int)
        return waiting.get("untracked", 0) > 0 or waiting.get("speech", 0) >= 3 or lag > 40

    words = []
    for _ in range(nanoseconds // STEP):
        await call.fake_clock.advance(STEP)
        async with asyncio.timeout(LIMIT_S):
            while at_work():  # noqa: ASYNC110 (threads have no event of the loop's)
                await asyncio.sleep(0.0005)
        words += call.peer.take()
    return words


@pytest.mark.parametrize("make", [live, stored])
@pytest.mark.parametrize("seconds", [2, 5, 60])
async def test_after_a_stall_pictures_are_dubbed_and_in_sync_within_two_seconds(
    make: type[Call], seconds: int, engine: Engine, config: ServerConfig
) -> None:
    call = make(engine, config)
    await hear(call, 2 * SECOND_NS)
    before = call.live.pictures()
    call.fake_clock.jump(seconds * SECOND_NS)
    burst = await hear(call, 2 * STEP)
    assert len(burst) <= 4  # what was due meanwhile is not said at once
    await hear(call, BACK)
    after = call.live.pictures()
    assert after["on_time"] - before["on_time"] >= 25  # of 50, most of the second half
    assert after["dropped"] == before["dropped"]
    sound, picture = lateness(call)
    assert 0 <= sound <= 40  # pieces are 20 ms long, pictures 40
    assert 0 <= picture <= 80
    await hear(call, SECOND_NS)
    assert call.live.pictures()["on_time"] - after["on_time"] >= 24
    assert call.live.failure is None
    assert [event["rung"] for event in call.events.to_json() if "rung" in event] == []
    await call.close()


async def test_an_engine_that_stood_still_for_longer_than_its_queue_holds_is_taken_up_again() -> None:
    models = WindowedModels(kind=WatchedStream)
    engine = Engine(lambda: models, SystemClock())
    await engine.start()
    call = Call(engine, camera=True)
    await call.hear(SECOND_NS)
    stream = models.streams[0]
    assert isinstance(stream, WatchedStream)
    stands, go_on = stream.stop_in("pull")
    while not stands.is_set():
        await call.fake_clock.advance(STEP)
        await asyncio.sleep(0.001)
    await call.fake_clock.advance(6 * SECOND_NS)
    assert len(models.streams) == 1  # the engine still holds the old slot
    stream.on_pull = bool
    go_on.set()
    async with asyncio.timeout(LIMIT_S):
        while len(models.streams) == 1:
            await call.fake_clock.advance(STEP)
            await asyncio.sleep(0.001)
    assert call.live.failure is None
    await call.close()
    await engine.close()


@pytest.mark.slow
async def test_a_server_process_that_was_stopped_dubs_again(config: ServerConfig) -> None:
    """Longer than the engine's queue of speech holds, 4 s."""
    media = config.portrait_path, config.demo_speech_path
    command = sys.executable, "-m", "tests.streamer.support.fake_server", *map(str, media)
    root = Path(__file__).parents[3]
    server = await asyncio.create_subprocess_exec(*command, cwd=root, stdout=asyncio.subprocess.PIPE)
    assert server.stdout is not None
    url = (await server.stdout.readline()).decode().split()[-1].rstrip("/")
    async with aiohttp.ClientSession() as http, honest_session(client := Client(http, url)) as honest:
        os.kill(server.pid, signal.SIGSTOP)
        await asyncio.sleep(5)
        os.kill(server.pid, signal.SIGCONT)
        await eventually(lambda: any(event.get("pictures") == "dubbed" for event in honest.messages))
        await honest.goes_on(pictures=25)
        assert (await client.state(honest.session))["untouched_because"] is None
    server.terminate()
    assert await asyncio.wait_for(server.wait(), LIMIT_S) == 0
