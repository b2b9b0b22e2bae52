"""A live session on a device that is too slow: pictures go, sound never does, and all comes back."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from mytalk.media.face_source import open_face
from streamer.clock import SECOND_NS, FakeClock, SystemClock
from streamer.config.server_config import ServerConfig
from streamer.engine.engine import Engine
from tests.streamer.support.calls import STEP, Call
from tests.streamer.support.fake_models import FakeModels, FakeStream
from tests.support.limits import LIMIT_S


@pytest.fixture
def portrait(config: ServerConfig) -> Path:
    return config.portrait_path


class Device:
    """Spends the time of a fake clock on pictures, in an engine thread."""

    def __init__(self, clock: FakeClock) -> None:
        self.busy = False
        self.cost = 0.0  # seconds a picture
        self._clock = clock
        self._closed = threading.Event()

    def spend(self, _: float) -> None:
        end = self._clock.now() + round(self.cost * SECOND_NS)
        self.busy = True
        while self._clock.now() < end and not self._closed.wait(0.0002):
            pass
        self.busy = False

    def close(self) -> None:
        self._closed.set()


class DeviceModels(FakeModels):
    """Streams whose pictures cost the time of one device."""

    steps = 1

    def __init__(self) -> None:
        super().__init__()
        self.gpu = Device(FakeClock())

    def stream(self, options: Any) -> FakeStream:
        stream = super().stream(options)
        stream.spend = self.gpu.spend
        return stream


@pytest.mark.parametrize(
    ("cost", "rungs"), [(0.055, ["unmended", "half_rate"]), (0.5, ["unmended", "half_rate", "untouched"])]
)
async def test_a_slow_device_costs_pictures_and_no_sound_and_they_come_back(
    cost: float, rungs: list[str], portrait: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.engine.overload.PATIENCE", 3 * SECOND_NS)
    models = DeviceModels()
    engine = Engine(lambda: models, SystemClock())
    await engine.start()
    call = Call(engine, face=open_face(portrait))
    device = models.gpu = Device(call.fake_clock)
    words: list[int] = []

    def followed() -> bool:
        """Whether the engine's threads have done what the clock's time allows, but for half a frame of speech."""
        if call.media.loop is None:
            return True
        waiting = call.live.queues()
        left = waiting.get("untracked", 0) + waiting.get("tracked", 0)
        return device.busy or (left == 0 and waiting.get("speech", 0) < 3 and call.live.stats()["lag_ms"] <= 40)

    async def hear(seconds: float, until: str = "") -> None:
        for _ in range(round(50 * seconds)):
            await call.fake_clock.advance(STEP)
            async with asyncio.timeout(LIMIT_S):
                while not followed():  # noqa: ASYNC110 (threads have no event of the loop's)
                    await asyncio.sleep(0.0005)
            words.extend(call.peer.take())
            if call.media.loop is not None and call.live.stats().get("rung") == until:
                return
        assert not until

    await hear(2, until="full")
    device.cost = cost
    await hear(30, until=rungs[-1])
    await hear(1)
    device.cost = 0.0
    await hear(32, until="full")
    reported = [event["rung"] for event in call.events.to_json() if "rung" in event]
    device.close()
    await call.close()
    await engine.close()
    assert reported[: len(rungs)] == rungs
    assert reported[-1] == "full"
    first = words.index(1)
    assert words[first:] == [1] * (len(words) - first)  # each chunk in its turn, none of silence among them
    assert call.live.pictures()["left_out"] > 10
    assert sum(stream.unmended for stream in models.streams) > 10
