"""A server with fake models, and a client for it."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import av
import pytest

from streamer.clock import SECOND_NS
from streamer.config.server_config import ServerConfig
from streamer.engine import overload
from streamer.executors import Pool
from streamer.http import server as server_module
from streamer.http.server import Running, running
from streamer.media import pacer
from streamer.media.pacer import FOREVER
from streamer.telemetry.loop_watchdog import LoopWatchdog, Stall
from tests.streamer.support.callback_times import callbacks_timed
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client
from tests.streamer.support.loop_stalls import report, to_blame
from tests.streamer.support.pictures import numbered
from tests.streamer.support.sounds import babble
from tests.support.films import write_wav
from tests.support.limits import LIMIT_S


@pytest.fixture(autouse=True, scope="session")
def _short_collections() -> None:
    """Collections of garbage leave alone what the imports made, as they do in a server whose models are loaded."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _server_never_holds_the_loop(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test whose server computed on the event loop for long: in one callback or, of a loop whose callbacks
    cannot be timed, in one stall."""
    stalls: list[Stall] = []

    class Watchdog(LoopWatchdog):
        def on_stall(self, stall: Stall) -> None:
            super().on_stall(stall)
            stalls.append(stall)

    monkeypatch.setattr(server_module, "LoopWatchdog", Watchdog)
    with callbacks_timed() as long:
        yield
    held = [*map(report, to_blame(stalls)), *(str(one) for one in long if one.is_the_servers)]
    if held:
        pytest.fail("\n".join(held), pytrace=False)


@pytest.fixture
def always_dubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets sessions give up no picture, however busy the machine is, and wait for the engine's."""
    monkeypatch.setattr(overload, "TOO_FAR", FOREVER)
    monkeypatch.setattr(pacer, "_SILENT", round(LIMIT_S * SECOND_NS))


@pytest.fixture
def models() -> FakeModels:
    return FakeModels()


@pytest.fixture
def config(tmp_path: Path) -> ServerConfig:
    """A free port, two sessions, a portrait and a speech of our own making."""
    portrait = tmp_path / "portrait.png"
    with av.open(portrait, "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width = stream.height = 256
        stream.pix_fmt = "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(1), format="rgb24")))
        container.mux(stream.encode(None))
    speech = tmp_path / "speech.wav"
    write_wav(speech, babble(2.0, seed=7))
    return ServerConfig(port=0, portrait=portrait, demo_speech=speech, max_sessions=2)


@pytest.fixture
async def server(config: ServerConfig, models: FakeModels) -> AsyncIterator[Running]:
    async with running(config, lambda: models) as server:
        await server.loading
        yield server


@pytest.fixture
async def client(server: Running) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http:
        yield Client(http, server.url)


@pytest.fixture
def codecs() -> Iterator[Pool]:
    """Threads for encoding, as a server has them."""
    pool = Pool("codec", threads=2, waiting=64)
    yield pool
    pool.close()
