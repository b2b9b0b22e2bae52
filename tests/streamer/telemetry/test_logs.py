"""Logs tell an operator what happened in which session, and nothing private."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mytalk.marking import Payload
from mytalk.stream_options import StreamControls
from streamer.auth.api_keys import make_key, write_keys
from streamer.clock import FakeClock
from streamer.config.ice_servers import IceServer
from streamer.config.server_config import ServerConfig
from streamer.engine.engine import Engine
from streamer.http import middleware
from streamer.http.server import Running, running
from streamer.telemetry import logs
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, ask, call
from tests.streamer.support.sounds import babble
from tests.streamer.support.tracks import Camera, Microphone
from tests.streamer.support.waiting import LIMIT_S, eventually


@contextmanager
def logging_to(stream: io.StringIO, *, as_json: bool, verbose: bool) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    names = (*logs.OURS, logs.REQUESTS)
    kept = [(one, one.level) for one in (root, *(logging.getLogger(name) for name in names))]
    before = root.handlers[:]
    logs.begin(as_json=as_json, verbose=verbose, stream=stream)
    yield stream
    root.handlers[:] = before
    for logger, level in kept:
        logger.setLevel(level)


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """The JSON log, everything of it, as ``mytalk serve --log json --verbose`` writes it."""
    with logging_to(io.StringIO(), as_json=True, verbose=True) as stream:
        yield stream


@pytest.fixture
def text() -> Iterator[io.StringIO]:
    """The log as ``mytalk serve`` writes it."""
    with logging_to(io.StringIO(), as_json=False, verbose=False) as stream:
        yield stream


async def test_the_text_log_tells_of_sessions_and_of_refusals_and_why(
    config: ServerConfig, models: FakeModels, text: io.StringIO, tmp_path: Path
) -> None:
    key, secret = make_key("studio", ["publish"])
    write_keys(tmp_path / "keys.json", [key])
    config = replace(config, keys=tmp_path / "keys.json", max_sessions=1)
    async with running(config, lambda: models) as server:
        await server.loading
        async with aiohttp.ClientSession() as http:
            client = Client(http, server.url)
            assert (await ask(client, "POST", "/v1/sessions", "mytalk_wrong", json={})).status == 401
            session = json.loads((await ask(client, "POST", "/v1/sessions", secret, json={})).text)
            assert (await ask(client, "POST", "/v1/sessions", secret, json={})).status == 503
            assert (await ask(client, "POST", session["urls"]["webrtc"], session["view_token"])).status == 403
            assert (await ask(client, "GET", "/nothing", secret)).status == 404
            await ask(client, "DELETE", session["urls"]["session"], session["token"])
    mine = session["id"][: logs.SHOWN_ID]
    assert re.sub(r"seconds=\d+", "seconds=N", text.getvalue()).splitlines() == [
        "INFO refused method=POST route=/v1/sessions status=401 key=None "
        "reason=no API key, or an unknown one (need the header Authorization: Bearer KEY)",
        f"INFO [{mine}] session began source=live speech=live key={key.id} "
        f"watermark={Payload.of('session', session['id'])}",
        f"INFO refused method=POST route=/v1/sessions status=503 key={key.id} "
        "reason=all 1 sessions are taken (wait for one to end, or start with a larger --max-sessions)",
        f"INFO [{mine}] refused method=POST route=/v1/sessions/{{id}}/webrtc status=403 key=None "
        "reason=the token does not give the right to own (need one that does)",
        f"INFO [{mine}] session ended reason=deleted by its client seconds=N pictures={{}}",
    ]


async def test_a_caller_without_end_does_not_fill_the_log(
    config: ServerConfig, models: FakeModels, text: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "TOLD_A_SECOND", 0)
    async with running(config, lambda: models) as server, aiohttp.ClientSession() as http:
        server.sessions.draining = True
        for _ in range(2 * middleware.TOLD_AT_ONCE):
            assert (await ask(Client(http, server.url), "POST", "/v1/sessions", None, json={})).status == 503
    assert text.getvalue().count("INFO refused") == middleware.TOLD_AT_ONCE


async def test_the_log_is_json_with_the_session_and_without_content_or_secrets(
    config: ServerConfig, models: FakeModels, written: io.StringIO, tmp_path: Path
) -> None:
    key, text = make_key("studio", ["admin"])
    write_keys(tmp_path / "keys.json", [key])
    turn = IceServer("turn:127.0.0.1:9?transport=udp", "alice", "turn-s3cret")
    config = replace(config, keys=tmp_path / "keys.json", ice_servers=(turn,))
    async with running(config, lambda: models) as server:
        await server.loading
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {text}"}) as http:
            client = Client(http, server.url)
            session = await client.create(source="portrait", speech="stream")
            other = await client.create()
            url = client.url + session["urls"]["stream"]
            protocols = ("mytalk.v1", f"mytalk.token.{session['token']}")
            async with http.ws_connect(url, protocols=protocols) as socket:
                await socket.receive_json()
                await socket.send_str('{"type": "speech.append", "audio": "c2VjcmV0IHNwZWVjaA=="}')
                await socket.send_str("not JSON, but private words")
                await socket.receive()
                for bad in (session["token"][:-1] + "x", other["token"], text[:-1] + "x"):
                    path = f"{session['urls']['session']}?token={bad}"
                    assert (await ask(client, "GET", path, bad)).status in (401, 403)
                await ask(client, "GET", "/v1/sessions/%0a%0dforged: line", session["token"])
                await ask(client, "DELETE", session["urls"]["session"], session["token"])
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    everything = written.getvalue()
    for secret in (text, session["token"], session["view_token"], other["token"], "turn-s3cret", key.sha256):
        assert secret not in everything
        assert secret[-24:] not in everything
    for private in ("private words", "c2VjcmV0", "forged", "127.0.0.1", "ice-pwd", session["id"], "?token"):
        assert private not in everything, private
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    mine = [line for line in lines if line.get("session") == session["id"][: logs.SHOWN_ID]]
    assert [line["message"] for line in mine if line["message"].startswith("session")] == [
        "session began",
        "session ended",
    ]
    assert mine[0]["key"] == key.id
    ended = next(line for line in mine if line["message"] == "session ended")
    assert ended["reason"] == "deleted by its client"
    requests = [line for line in lines if line["message"] == "request"]
    assert {"method": "POST", "route": "/v1/sessions", "status": 201}.items() <= requests[0].items()


@pytest.mark.parametrize(
    ("kind", "status"),
    [(b"Content-Encoding: gzip\r\nContent-Length: 7", b" 415 "), (b"Transfer-Encoding: chunked", b" 400 ")],
)
async def test_what_a_client_sends_wrong_is_for_its_own_eyes(
    client: Client, server: Running, written: io.StringIO, kind: bytes, status: bytes
) -> None:
    head = b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rstrip("/").rsplit(":", 1)[1]))
    writer.write(head + kind + b"\r\n\r\nprivate")
    assert status in await asyncio.wait_for(reader.read(), LIMIT_S)
    writer.close()
    assert "private" not in written.getvalue()
    assert "127.0.0.1" not in written.getvalue()
    assert not [line for line in written.getvalue().splitlines() if json.loads(line)["level"] == "error"]


@pytest.mark.parametrize("thread", ["pull", "track"])
async def test_what_goes_wrong_on_the_engines_threads_is_logged_with_its_session(
    client: Client, server: Running, models: FakeModels, written: io.StringIO, thread: str
) -> None:
    def broken(*_: Any) -> Any:
        raise FloatingPointError("a NaN")

    await client.create()  # another one
    async with call(client, Microphone(babble(60)), Camera()) as (session, _):
        await eventually(lambda: bool(models.streams))
        setattr(models.streams[0], thread, broken)
        await eventually(lambda: any(one.figures.failure is not None for one in server.sessions.all()))
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    failed = [line for line in lines if line["level"] == "error"]
    assert len(failed) == 2  # by the thread, and by the session that is informed
    assert "FloatingPointError" in failed[0]["traceback"]
    assert "untouched pictures" in failed[1]["message"]
    assert {line.get("session") for line in failed} == {session["id"][: logs.SHOWN_ID]}


async def test_what_an_engine_loses_is_logged_with_its_session(written: io.StringIO) -> None:
    logged = asyncio.Event()

    def fail(_: object) -> None:
        logging.getLogger("streamer.test").error("written later")
        logged.set()

    engine = Engine(FakeModels, FakeClock())
    await engine.start()
    engine.open_slot(
        open_stream=lambda models: models.stream(None),
        controls=lambda: StreamControls(steps=1),
        deliver=lambda _: None,
        fail=fail,
        name="a-session-of-22-letters",
    )
    await asyncio.to_thread(engine._fail, RuntimeError("the driver is gone"))
    await asyncio.wait_for(logged.wait(), LIMIT_S)
    await engine.close()
    [line] = [json.loads(line) for line in written.getvalue().splitlines() if "written later" in line]
    assert line["session"] == "a-sessio"


def test_what_looks_like_a_secret_is_masked_wherever_it_comes_from() -> None:
    stream = io.StringIO()
    _, key = make_key("one", ["view"])
    for formatter in (logs.JsonFormatter(), logs.TextFormatter()):
        log = logging.Logger("streamer.test")
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
        log.addHandler(handler)
        try:
            raise RuntimeError(f"Bearer {key}")
        except RuntimeError:
            log.exception('<turn:h>; credential="pa55" %s\nforged line', f"o1a2b.{'A' * 43}")
    text = stream.getvalue()
    assert key not in text
    assert "pa55" not in text
    assert "A" * 43 not in text
    assert text.count("***") == 6
    assert "\nforged" not in text
