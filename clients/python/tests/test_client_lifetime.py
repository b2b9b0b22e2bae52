"""The client against a real server: a session ends with its block, and refusals are errors that say why."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from mytalk_client import (
    EndedError,
    LostError,
    RefusedError,
    SessionEnded,
    SpeechFormat,
    connect,
    create_session,
    end_session,
)

from streamer.client_stream import resumption
from streamer.http.server import Running
from tests.streamer.support.waiting import eventually

PCM48 = SpeechFormat(48_000)


async def test_the_end_of_a_session_ends_the_iteration(url: str) -> None:
    async with connect(url, speech=PCM48) as session:
        await asyncio.to_thread(end_session, session.info)
        events = [event async for event in session]
        assert isinstance(events[-1], SessionEnded)
        with pytest.raises(EndedError):
            await session.say(b"\0\0")


async def test_leaving_the_block_ends_the_session_on_the_server(
    url: str, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumption, "RESUME_WAIT", 1 << 62)  # a session that was cut would stay
    async with connect(url):
        assert len(server.sessions.all()) == 1
    await eventually(lambda: not server.sessions.all())


async def test_a_block_that_fails_ends_the_session_as_well(url: str, server: Running) -> None:
    async def fail() -> None:
        async with connect(url, audio=True, video="h264") as session:
            await anext(session)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await eventually(lambda: not server.sessions.all())


async def test_a_server_that_is_full_says_when_to_come_back(url: str) -> None:
    async with connect(url), connect(url):
        with pytest.raises(RefusedError, match="sessions are taken") as refused:
            async with connect(url, patience=0):
                pass
    assert (refused.value.status, refused.value.code, refused.value.retry_after) == (503, "busy", 1)


async def test_what_the_server_does_not_know_is_refused_with_its_words(url: str) -> None:
    with pytest.raises(RefusedError, match="unknown field 'colour'") as refused:
        async with connect(url, colour="red"):
            pass
    assert refused.value.status == 400
    with pytest.raises(LostError):
        async with connect("http://127.0.0.1:9"):
            pass
    with pytest.raises(LostError):
        async with connect("no URL"):
            pass


async def test_another_ones_session_and_a_wrong_token_are_refused(url: str) -> None:
    info = await asyncio.to_thread(create_session, url, source="portrait", speech="stream")
    async with connect(url, info=info):
        with pytest.raises(RefusedError, match="open already"):
            async with connect(url, info=info):
                pass
    stolen = type(info)(info.id, "x", info.urls)
    with pytest.raises(RefusedError):
        async with connect(url, info=stolen):
            pass


async def test_a_cancelled_connect_leaves_no_session_behind(url: str, server: Running) -> None:
    async def enter() -> None:
        async with connect(url):
            await asyncio.sleep(60)

    for delay in (0.0, 0.005, 0.02, 0.1):
        task = asyncio.create_task(enter())
        await asyncio.sleep(delay)
        task.cancel()
        with suppress(asyncio.CancelledError, RefusedError):  # refused: the one before is on its way out
            await task
    await asyncio.sleep(0.5)
    await eventually(lambda: not server.sessions.all())
