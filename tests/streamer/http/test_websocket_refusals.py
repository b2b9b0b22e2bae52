"""A stream refuses strangers, wrong messages, and more speech than may wait."""

from __future__ import annotations

import asyncio
import json

import numpy as np
import pytest
from aiohttp import WSServerHandshakeError

from streamer.http.server import Running
from streamer.protocol.codec import SUBPROTOCOL, TOKEN_PREFIX
from streamer.protocol.messages import Limits
from tests.streamer.support.http_client import Client, bearer
from tests.streamer.support.sounds import babble
from tests.streamer.support.stream_client import Streamer, found_in, streaming


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"token": ""}, "not_authorized"),
        ({"token": "x"}, "forbidden"),
        ({"urls": {"stream": "/v1/sessions/nobody/stream"}}, "unknown_session"),
    ],
)
async def test_a_stranger_is_told_so_and_sent_away(client: Client, change: dict[str, object], code: str) -> None:
    session = await client.create(source="portrait", speech="stream")
    streamer = Streamer(client, session | change)
    await streamer.connect()
    error = await streamer.one("error")
    assert (error["code"], error["fatal"]) == (code, True)
    await streamer.until(lambda: streamer.code == 1008)
    await streamer.close()


async def test_a_browser_gives_its_token_as_a_subprotocol(client: Client) -> None:
    session = await client.create(source="portrait", speech="stream")
    protocols = (SUBPROTOCOL, TOKEN_PREFIX + session["token"])
    async with client.http.ws_connect(client.url + session["urls"]["stream"], protocols=protocols) as socket:
        assert socket.protocol == SUBPROTOCOL
        assert (await socket.receive_json())["type"] == "session.created"


async def test_without_the_subprotocol_it_is_a_bad_request(client: Client) -> None:
    session = await client.create(source="portrait", speech="stream")
    with pytest.raises(WSServerHandshakeError) as refused:
        await client.http.ws_connect(client.url + session["urls"]["stream"], headers=bearer(session))
    assert refused.value.status == 400


async def test_a_wrong_message_is_answered_and_the_stream_goes_on(client: Client) -> None:
    async with streaming(client) as streamer:
        await streamer.say(babble(0.1))
        assert (await streamer.one("error"))["code"] == "no_format"
        await streamer.socket.send_str("{")
        assert (await streamer.one("error", count=2))["code"] == "bad_json"
        await streamer.begin()
        await streamer.say(babble(0.1), pts=7)
        assert "need 0" in (await streamer.one("error", count=3))["message"]
        await streamer.send(type="speech.commit", event_id="c")
        nothing = await streamer.one("error", count=4)
        assert (nothing["code"], nothing["event_id"], nothing["fatal"]) == ("bad_speech", "c", False)
        await streamer.send(type="session.update", controls={"hairstyle": 1, "steps": 3}, event_id="g")
        unknown = await streamer.one("error", count=5)
        assert (unknown["code"], unknown["event_id"]) == ("unknown_control", "g")
        assert "steps" in unknown["message"]
        await streamer.say(babble(0.3))
        await streamer.one("playback.started")


async def test_a_hundred_wrong_messages_in_a_row_are_enough(client: Client) -> None:
    async with streaming(client) as streamer:
        for _ in range(100):
            await streamer.send(type="nonsense")
        await streamer.until(lambda: streamer.code == 1008)
        assert streamer.messages[-1]["code"] == "too_many_errors"


async def test_a_message_over_the_limit_closes_with_1009(client: Client) -> None:
    async with streaming(client) as streamer:
        await streamer.begin()
        await streamer.socket.send_bytes(bytes((1 << 20) + 17))
        await streamer.until(lambda: streamer.code == 1009)


async def test_speech_beyond_what_may_wait_stays_unread_and_none_is_lost(client: Client, server: Running) -> None:
    speech = babble(3, seed=8)
    async with streaming(client) as streamer:
        [session] = server.sessions.all()
        assert session.voice is not None
        session.voice.limits = Limits(pause_ms=300, buffer_ms=1000)
        await streamer.begin()
        sending = asyncio.create_task(streamer.say(speech, step=4800))
        most = 0
        while len(streamer.all("playback.started")) < 1 or not sending.done():
            most = max(most, session.voice.buffered_ms)
            await asyncio.sleep(0.01)
        await sending
        await streamer.send(type="speech.commit")
        await streamer.one("playback.finished")
        await streamer.until(lambda: found_in(speech, streamer.heard()) >= 0)
    assert 300 <= most <= 400
    assert not streamer.all("error")


async def test_one_message_beyond_the_cap_is_an_error_and_never_a_silent_drop(client: Client, server: Running) -> None:
    async with streaming(client) as streamer:
        [session] = server.sessions.all()
        assert session.voice is not None
        session.voice.limits = Limits(pause_ms=1000, buffer_ms=2000)
        await streamer.begin()
        await streamer.say(babble(3), step=3 * 48_000)
        error = await streamer.one("error")
        assert (error["code"], error["fatal"]) == ("speech_overflow", False)
        await streamer.say(babble(0.5))
        await streamer.send(type="speech.commit")
        assert (await streamer.one("speech.committed"))["length"] == 8000


async def test_noise_on_the_socket_never_ends_the_session(client: Client, server: Running) -> None:
    rng = np.random.default_rng(4)
    async with streaming(client) as streamer:
        await streamer.begin()
        for _ in range(40):
            await streamer.socket.send_bytes(rng.bytes(int(rng.integers(1, 64))))
            await streamer.socket.send_str(json.dumps({"type": "speech.append", "audio": "!" * int(rng.integers(9))}))
            await streamer.send(type="ping")
        await streamer.until(lambda: len(streamer.all("error")) == 80)
        assert server.sessions.all()[0].state == "live"
