"""The scene of live dubbing from a shell: ``python -m mytalk_client dub``."""

from __future__ import annotations

import asyncio
import re
import wave
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from mytalk_client.__main__ import main

from streamer.http.server import Running
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client
from tests.streamer.support.sounds import babble
from tests.streamer.support.waiting import LIMIT_S, eventually
from tests.streamer.support.whip_clients import Obs


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "german.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(babble(1.5, seed=5).tobytes())
    return path


async def test_it_says_where_to_publish_and_watch_and_speaks_when_the_camera_is_there(
    url: str, server: Running, models: FakeModels, wav: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = ""

    def says(words: str) -> bool:
        nonlocal printed
        captured = capsys.readouterr()
        printed += captured.out + captured.err
        return words in printed

    dubbing = asyncio.create_task(asyncio.to_thread(main, ["dub", str(wav), "--url", url]))
    await eventually(lambda: says("Viewers:"))
    [session] = server.sessions.all()
    whip = re.search(r"Server +(\S+)", printed)
    token = re.search(r"Bearer Token +(\S+)", printed)
    link = re.search(r"Viewers: (\S+)/watch\.html#(\S+)/(\S+)", printed)
    assert whip is not None
    assert token is not None
    assert link is not None
    assert link[1] == url
    assert link[2] == session.id
    assert not says("The camera is here")
    async with aiohttp.ClientSession() as http:
        obs, client = Obs(), Client(http, server.url)
        await obs.start(client, whip[1], token[1])
        await eventually(lambda: says("The camera is here: speaking (1.5 s)."))
        await eventually(lambda: says("Said."))
        assert np.abs(np.concatenate(models.streams[0].speech)).max() > 0.1
        await obs.stop(client, token[1])
        await eventually(lambda: says("The camera sends no pictures: the voice waits for it."))
    await session.end("the test is over")
    assert await asyncio.wait_for(dubbing, LIMIT_S) == 0


async def test_a_session_that_cannot_be_recorded_is_refused_in_one_line(
    url: str, wav: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(main, ["dub", str(wav), "--url", url, "--record"]) == 1
    errors = capsys.readouterr().err
    assert "--recordings" in errors
    assert errors.count("\n") == 1


async def test_a_session_that_ends_before_all_was_said_is_a_failure(
    url: str, server: Running, wav: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with wave.open(str(wav), "rb") as file:
        parameters, frames = file.getparams(), file.readframes(file.getnframes())
    with wave.open(str(wav), "wb") as file:
        file.setparams(parameters)
        file.writeframes(60 * frames)
    printed = ""

    def says(words: str) -> bool:
        nonlocal printed
        printed += capsys.readouterr().out
        return words in printed

    dubbing = asyncio.create_task(asyncio.to_thread(main, ["dub", str(wav), "--url", url]))
    await eventually(lambda: says("Viewers:"))
    whip, token = re.findall(r"(?:Server|Bearer Token) +(\S+)", printed)
    async with aiohttp.ClientSession() as http:
        obs, client = Obs(), Client(http, server.url)
        await obs.start(client, whip, token)
        await eventually(lambda: says("speaking"))
        await server.sessions.close()
        assert await asyncio.wait_for(dubbing, LIMIT_S) == 1
        await obs.close()
    assert "mytalk-client: error: the session ended before all was said: " in capsys.readouterr().err
