"""A stream outlives its connection, and ends when its client or its session does."""

from __future__ import annotations

import asyncio

import av
import pytest
from aiohttp import WSMsgType

from streamer.client_stream import resumption
from streamer.clock import SECOND_NS
from streamer.http import websocket
from streamer.http.server import Running
from streamer.protocol.codec import SUBPROTOCOL, TOKEN_PREFIX
from streamer.protocol.packets import Kind
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, bearer
from tests.streamer.support.sounds import babble
from tests.streamer.support.stream_client import Streamer, found_in, streaming
from tests.streamer.support.waiting import LIMIT_S, eventually


async def test_a_cut_loses_nothing_either_way(client: Client) -> None:
    speech = babble(4, seed=5)
    async with streaming(client) as streamer:
        await streamer.begin(audio="pcm16", video="h264")
        for round_ in range(4):
            await streamer.say(speech[round_ * 48_000 : (round_ + 1) * 48_000], pts=round_ * 48_000)
            sent = 1 + (round_ + 1) * 5
            await asyncio.sleep(0.4)
            await streamer.cut()
            await asyncio.sleep(0.3)
            await streamer.connect(resume=streamer.received)
            resumed = await streamer.one("session.resumed", count=round_ + 1)
            missing = sent - resumed["received"]  # of the speech: what had not got through
            lost = (round_ + 1) * 48_000 - missing * 9600
            await streamer.say(speech[lost : (round_ + 1) * 48_000], pts=lost)
        await streamer.send(type="speech.commit")
        await streamer.one("playback.finished")
        await streamer.until(lambda: found_in(speech, streamer.heard()) >= 0)
        pictures = streamer.of(Kind.VIDEO_H264)
    assert not streamer.all("error")
    assert len({picture.pts for picture in pictures}) == len(pictures)
    decoder = av.CodecContext.create("h264", "r")
    decoded = [frame for picture in pictures for frame in decoder.decode(av.Packet(picture.payload))]
    assert len(decoded) >= len(pictures) - 2


async def test_pictures_of_a_cut_are_kept(client: Client, server: Running) -> None:
    async with streaming(client) as streamer:
        await streamer.begin(audio="pcm16", video="h264")
        await streamer.until(lambda: len(streamer.of(Kind.VIDEO_H264)) > 5)
        await streamer.cut()
        [session] = server.sessions.all()
        await eventually(lambda: session.streaming.state == "cut")
        before = session.broadcast.encoded
        await eventually(lambda: session.broadcast.encoded >= before + 3 * 25)  # longer than a slow line has
        await streamer.connect(resume=streamer.received)
        await streamer.until(lambda: len(streamer.of(Kind.VIDEO_H264)) > 3 * 25 + 10)
    assert not streamer.all("output.dropped")


async def test_a_stream_that_nobody_resumes_ends_its_session(
    client: Client, server: Running, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resumption, "RESUME_WAIT", SECOND_NS // 2)
    async with streaming(client) as streamer:
        await streamer.begin()
        await streamer.cut()
        await eventually(lambda: not server.sessions.all())
        await streamer.connect(resume=0)
        assert (await streamer.one("error"))["code"] == "unknown_session"
    assert server.sessions.ended == {"its client left": 1}
    await eventually(lambda: all(stream.closed for stream in models.streams))


async def test_a_line_that_answers_no_ping_is_cut_and_can_be_resumed(
    client: Client, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "HEARTBEAT", 0.2)
    session = await client.create(source="portrait", speech="stream")
    protocols = (SUBPROTOCOL, TOKEN_PREFIX + session["token"])
    url = client.url + session["urls"]["stream"]
    async with client.http.ws_connect(url, protocols=protocols, autoping=False) as silent:
        assert (await silent.receive_json())["type"] == "session.created"
        [running] = server.sessions.all()
        await eventually(lambda: running.streaming.state == "cut", seconds=20)
        streamer = Streamer(client, session)
        await streamer.connect(resume=0)
        assert (await streamer.one("session.resumed"))["received"] == 0
        await streamer.close()


async def test_a_goodbye_ends_the_session_at_once(client: Client, server: Running) -> None:
    async with streaming(client) as streamer:
        await streamer.begin()
    await eventually(lambda: not server.sessions.all())
    assert server.sessions.ended == {"its client left": 1}


async def test_another_connection_may_resume_before_the_first_is_known_to_be_dead(client: Client) -> None:
    async with streaming(client) as streamer:
        await streamer.begin()
        with_conflict = Streamer(client, streamer.session)
        await with_conflict.connect()
        assert (await with_conflict.one("error"))["code"] == "conflict"
        await with_conflict.until(lambda: with_conflict.code == 1008)
        await streamer.until(lambda: len(streamer.packets) > 10)
        second = Streamer(client, streamer.session)
        await second.connect(resume=streamer.received)
        await second.one("session.resumed")
        await streamer.until(lambda: streamer.code == 4000)
        await second.until(lambda: len(second.packets) > 10)
        assert not streamer.all("session.ended")
        await second.close()
        await with_conflict.close()


@pytest.mark.parametrize("resume", ["99999", "-1", "x", "", "9" * 40, "٣"])
async def test_what_cannot_be_resumed_is_refused(client: Client, resume: str) -> None:
    async with streaming(client) as streamer:
        second = Streamer(client, streamer.session)
        await second.connect(resume=resume)  # type: ignore[arg-type]
        error = await second.one("error")
        assert (error["code"], error["fatal"]) == ("cannot_resume", True)
        await second.until(lambda: second.code == 1008)
        await second.close()
        await streamer.send(type="ping", data="still here")
        assert (await streamer.one("pong"))["data"] == "still here"


@pytest.mark.parametrize("how", ["delete", "message"])
async def test_the_end_of_a_session_is_announced(client: Client, server: Running, how: str) -> None:
    async with streaming(client) as streamer:
        await streamer.begin()
        if how == "delete":
            url = client.url + streamer.session["urls"]["session"]
            async with client.http.delete(url, headers=bearer(streamer.session)) as response:
                assert response.status == 200
        else:
            await streamer.send(type="session.end")
        await streamer.until(lambda: streamer.code == 1000)
        assert streamer.messages[-1]["type"] == "session.ended"
    await eventually(lambda: not server.sessions.all())


async def test_a_client_that_is_still_sending_can_read_how_its_stream_was_closed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that is closed while bytes come in is reset, and the client's system drops the close code unread."""
    monkeypatch.setattr(websocket, "CLOSE_WAIT", LIMIT_S)
    monkeypatch.setattr(websocket, "_FAREWELL", round(LIMIT_S * SECOND_NS))
    session = await client.create(source="portrait", speech="stream")
    protocols = (SUBPROTOCOL, TOKEN_PREFIX + session["token"])
    url = client.url + session["urls"]["stream"]
    async with client.http.ws_connect(url, protocols=protocols, autoclose=False) as socket:
        await socket.send_json({"type": "session.end"})
        while (message := await socket.receive(LIMIT_S)).type is not WSMsgType.CLOSE:
            pass
        assert message.data == 1000
        for _ in range(100):
            await socket.send_json({"type": "ping", "data": "on its way"})  # raises where the socket is closed
            await asyncio.sleep(0)


async def test_a_server_that_stops_says_so(client: Client, server: Running) -> None:
    async with streaming(client) as streamer:
        await streamer.begin()
        await server.sessions.close()
        await streamer.until(lambda: streamer.code == 1001)
        assert streamer.messages[-1] == {"type": "session.ended", "reason": "the server is stopping"}


async def test_ten_streams_one_after_the_other_leave_nothing_behind(client: Client, server: Running) -> None:
    before = len(asyncio.all_tasks())
    for _ in range(10):
        async with streaming(client) as streamer:
            await streamer.begin(audio="pcm16", video="jpeg")
            await streamer.until(lambda: len(streamer.packets) > 3)
        await eventually(lambda: not server.sessions.all())
    await eventually(lambda: len(asyncio.all_tasks()) <= before + 1)
