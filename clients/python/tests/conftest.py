"""A server with fake models in the test's own loop, and a line to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from lines import Line

from streamer.config.server_config import ServerConfig
from streamer.http.server import Running, running
from tests.streamer.support.fake_models import FakeModels


@pytest.fixture
def models() -> FakeModels:
    return FakeModels()


@pytest.fixture
async def server(models: FakeModels) -> AsyncIterator[Running]:
    async with running(ServerConfig(port=0, max_sessions=2), lambda: models) as server:
        await server.loading
        yield server


@pytest.fixture
async def line(server: Running) -> AsyncIterator[Line]:
    line = Line(int(server.url.rstrip("/").rsplit(":", 1)[1]))
    yield line
    await line.close()


@pytest.fixture
async def url(line: Line) -> str:
    """Of the server, over the line."""
    return await line.open()
