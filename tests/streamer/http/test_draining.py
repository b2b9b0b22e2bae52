"""A server says whether new sessions may come, and ends those that it has in bounded time."""

from __future__ import annotations

import asyncio
import json

import aiohttp

from streamer.clock import SECOND_NS, FakeClock
from streamer.config.server_config import ServerConfig
from streamer.engine.engine import STUCK, Engine
from streamer.http.server import Running, running
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, ask
from tests.streamer.support.waiting import LIMIT_S, eventually


async def test_a_server_whose_engine_hangs_is_not_ready(client: Client, server: Running) -> None:
    server.engine.load._began["engine-1"] = server.engine._clock.now() - STUCK - SECOND_NS
    answer = await ask(client, "GET", "/readyz", None)
    assert (answer.status, json.loads(answer.text)) == (503, {"status": "stuck"})
    assert (await ask(client, "POST", "/v1/sessions", None, json={})).status == 503
    assert (await ask(client, "GET", "/healthz", None)).status == 200
    server.engine.load._began.clear()
    assert (await ask(client, "GET", "/readyz", None)).status == 200


async def test_an_engine_whose_thread_is_gone_is_stuck() -> None:
    engine = Engine(FakeModels, FakeClock())
    await engine.start()
    assert engine.condition == "ready"
    kept, engine._threads[0] = engine._threads[0], type(engine._threads[0])()
    assert engine.condition == "stuck"
    engine._threads[0] = kept
    await engine.close()


async def test_while_it_drains_it_is_not_ready_takes_nobody_and_lets_the_others_finish(
    client: Client, server: Running
) -> None:
    session = await client.create(source="portrait", speech="stream")
    url = client.url + session["urls"]["stream"]
    async with client.http.ws_connect(url, protocols=("mytalk.v1", f"mytalk.token.{session['token']}")) as socket:
        assert (await socket.receive_json())["type"] == "session.created"
        draining = asyncio.create_task(drain(server, seconds=20))
        await eventually(lambda: server.sessions.draining)
        answer = await ask(client, "GET", "/readyz", None)
        assert (answer.status, json.loads(answer.text)) == (503, {"status": "draining"})
        refused = await ask(client, "POST", "/v1/sessions", None, json={})
        assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
        await socket.send_json({"type": "ping", "data": "still here"})
        while (await socket.receive_json())["type"] != "pong":
            pass
        assert not draining.done()
        await socket.send_json({"type": "session.end"})
        await asyncio.wait_for(draining, LIMIT_S)


async def test_who_does_not_finish_in_time_is_closed_with_1001(config: ServerConfig, models: FakeModels) -> None:
    async with aiohttp.ClientSession() as http:
        async with running(config, lambda: models) as server:
            await server.loading
            client = Client(http, server.url)
            session = await client.create(source="portrait", speech="stream")
            protocols = ("mytalk.v1", f"mytalk.token.{session['token']}")
            socket = await http.ws_connect(client.url + session["urls"]["stream"], protocols=protocols)
            reading = asyncio.create_task(last_code(socket))
            await drain(server, seconds=0)
        assert await asyncio.wait_for(reading, LIMIT_S) == 1001
        await socket.close()


async def drain(server: Running, seconds: int) -> None:
    from streamer.http.server import _drain

    await _drain(server.sessions, seconds, asyncio.Event())


async def last_code(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    async for _ in socket:
        pass
    return socket.close_code
