"""A live session on a device that is too slow: pictures go, sound never does, and all comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mytalk.media.face_source import open_face
from streamer.clock import SECOND_NS, SystemClock
from streamer.config.server_config import ServerConfig
from streamer.engine.engine import Engine
from tests.streamer.support.calls import Call
from tests.streamer.support.fake_models import FakeModels


@pytest.fixture
def portrait(config: ServerConfig) -> Path:
    return config.portrait_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cost", "rungs"), [(0.055, ["unmended", "half_rate"]), (0.5, ["unmended", "half_rate", "untouched"])]
)
async def test_a_slow_device_costs_pictures_and_no_sound_and_they_come_back(
    cost: float, rungs: list[str], portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.engine.overload.PATIENCE", 3 * SECOND_NS)
    models = FakeModels(cost=0.001)
    models.steps = 1
    clock = SystemClock()
    engine = Engine(lambda: models, clock)
    await engine.start()
    call = Call(engine, face=open_face(portrait), clock=clock)
    words: list[int] = []

    async def hear(seconds: float, until: str) -> None:
        async with asyncio.timeout(seconds):
            while call.media.loop is None or call.live.stats().get("rung") != until:
                await asyncio.sleep(0.01)
                words.extend(call.peer.take())

    await hear(2, until="full")
    models.cost = cost
    for stream in models.streams:
        stream.cost = cost
    await hear(30, until=rungs[-1])
    for _ in range(50):
        await asyncio.sleep(0.02)
        words += call.peer.take()
    models.cost = 0.001
    for stream in models.streams:
        stream.cost = 0.001
    await hear(32, until="full")
    told = [event["rung"] for event in call.events.to_json()]
    await call.hang_up()
    await engine.close()
    assert told[: len(rungs)] == rungs
    assert told[-1] == "full"
    first = words.index(1)
    assert words[first:] == [1] * (len(words) - first)  # each chunk in its turn, none of silence among them
    assert call.live.pictures()["left_out"] > 10
    assert sum(stream.unmended for stream in models.streams) > 10
