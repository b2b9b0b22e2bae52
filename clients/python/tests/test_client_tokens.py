"""Tokens are good for a while only: a session that is older than its token is still resumed, and ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from lines import Line
from mytalk_client import PlaybackFinished, SessionResumed, SpeechFormat, connect, end_session

from streamer.config.server_config import ServerConfig
from streamer.http.server import Running, running
from tests.streamer.support.fake_models import FakeModels

LIFE = 3
"""Seconds that a token of this server opens connections."""


@pytest.fixture
async def server(models: FakeModels) -> AsyncIterator[Running]:
    async with running(ServerConfig(port=0, token_seconds=LIFE), lambda: models) as server:
        await server.loading
        yield server


async def test_a_session_that_is_older_than_its_first_token_is_resumed_and_ended(url: str, line: Line) -> None:
    async with connect(url, speech=SpeechFormat(48_000)) as session:
        first = session.info.token
        await asyncio.sleep(2 * LIFE)
        line.cut()
        await session.say(bytes(48_000))
        events = []
        async for event in session:
            events.append(event)
            if isinstance(event, PlaybackFinished):
                break
        assert any(isinstance(event, SessionResumed) for event in events)
        assert session.info.token != first
        await asyncio.to_thread(end_session, session.info)
