"""What an operator relies on: readiness, draining, figures, logs that tell nothing private, TLS, and bounds."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fakes import Camera, Client, FakeModels, Microphone, babble, call, eventually
from stream_client import streaming
from streams import ask, published, watch

from mytalk.errors import OptionError
from streamer import logs, middleware, server
from streamer.clock import SECOND_NS, FakeClock
from streamer.config import ServerConfig
from streamer.door import tls_context
from streamer.engine import STUCK, Engine
from streamer.ice_servers import IceServer
from streamer.keys import make_key, write_keys
from streamer.server import Running, running

# --- readiness and draining


async def test_a_server_whose_engine_hangs_is_not_ready(client: Client, server: Running) -> None:
    server.engine._working["engine"] = server.engine._clock.now() - STUCK - SECOND_NS
    answer = await ask(client, "GET", "/readyz", None)
    assert (answer.status, json.loads(answer.text)) == (503, {"status": "stuck"})
    assert (await ask(client, "POST", "/v1/sessions", None, json={})).status == 503
    assert (await ask(client, "GET", "/healthz", None)).status == 200
    server.engine._working.clear()
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
        await eventually(lambda: server.sessions.draining, seconds=5)
        answer = await ask(client, "GET", "/readyz", None)
        assert (answer.status, json.loads(answer.text)) == (503, {"status": "draining"})
        refused = await ask(client, "POST", "/v1/sessions", None, json={})
        assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
        await socket.send_json({"type": "ping", "data": "still here"})
        while (await socket.receive_json())["type"] != "pong":
            pass
        assert not draining.done()
        await socket.send_json({"type": "session.end"})
        await asyncio.wait_for(draining, 10)


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
        assert await asyncio.wait_for(reading, 5) == 1001
        await socket.close()


async def drain(server: Running, seconds: int) -> None:
    from streamer.server import _drain

    await _drain(server.sessions, seconds, asyncio.Event())


async def last_code(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    async for _ in socket:
        pass
    return socket.close_code


# --- figures


async def figures(client: Client) -> dict[str, float]:
    text = (await ask(client, "GET", "/metrics", None)).text
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


async def test_figures_of_a_call_are_there_and_its_past_is_kept(client: Client, server: Running) -> None:
    async with call(client, Microphone(babble(60)), Camera()) as (_, peer):
        await peer.until(pictures=30)
        await eventually(lambda: server.sessions.traffic()["webrtc", "out"] > 10_000, seconds=10)
        during = await figures(client)
        assert during['mytalk_sessions{state="live"}'] == 1
        assert during["mytalk_ready"] == 1
        assert during["mytalk_engine_job_seconds_count"] >= 30
        assert during["mytalk_skew_seconds_count"] >= 20
        assert during['mytalk_rungs{rung="full"}'] == 1
        assert 'mytalk_queue_items{queue="paced_sounds"}' in during
        assert during['mytalk_http_requests_total{method="POST",route="/v1/sessions",status="201"}'] == 1
    await eventually(lambda: not server.sessions.all(), seconds=10)
    after = await figures(client)
    for name in ('mytalk_bytes_total{via="webrtc",direction="in"}', "mytalk_skew_seconds_count"):
        assert after[name] >= during[name] > 0
    assert after['mytalk_sessions{state="live"}'] == 0
    buckets = [value for name, value in after.items() if name.startswith("mytalk_skew_seconds_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == after["mytalk_skew_seconds_count"]


async def test_bytes_of_a_websocket_are_counted_both_ways(client: Client, server: Running) -> None:
    session = await client.create(source="portrait", speech="stream")
    url = client.url + session["urls"]["stream"]
    async with client.http.ws_connect(url, protocols=("mytalk.v1", f"mytalk.token.{session['token']}")) as socket:
        created = await socket.receive_str()
        await socket.send_str('{"type": "ping", "data": "x"}')
        while (await socket.receive_json())["type"] != "pong":
            pass
        traffic = server.sessions.traffic()
    assert traffic["websocket", "in"] == len('{"type": "ping", "data": "x"}')
    assert traffic["websocket", "out"] > len(created)


async def test_streams_and_the_speech_that_waits_in_them_are_figures(client: Client) -> None:
    async with streaming(client) as streamer:
        await streamer.send(type="session.update", speech={"encoding": "pcm16", "rate": 48_000, "channels": 1})
        await streamer.one("session.updated")
        await streamer.say(babble(20))
        await eventually(lambda: bool(streamer.all("playback.started")), seconds=10)
        during = await figures(client)
        assert during['mytalk_streams{state="open"}'] == 1
        assert 5 < during["mytalk_speech_waiting_seconds"] < 20
        await streamer.cut()
        await eventually_figure(client, 'mytalk_streams{state="cut"}', 1)
        await streamer.connect(resume=streamer.received)
        await streamer.one("session.resumed")
        await streamer.send(type="session.end")
        await eventually_figure(client, 'mytalk_streams{state="open"}', 0)
    assert (await figures(client))["mytalk_speech_waiting_seconds"] == 0


async def test_bytes_of_http_are_counted_to_the_byte(client: Client, server: Running) -> None:
    request = POST + b"Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    writer.write(request)
    answer = await answer_of(reader)
    writer.close()
    counted = await figures(client)
    assert counted['mytalk_bytes_total{via="http",direction="in"}'] == len(request)
    assert counted['mytalk_bytes_total{via="http",direction="out"}'] == len(answer)
    again = await figures(client)
    assert again['mytalk_bytes_total{via="http",direction="out"}'] > len(answer) + 1000  # the figures themselves


async def eventually_figure(client: Client, name: str, value: float) -> None:
    async with asyncio.timeout(10):
        while (await figures(client))[name] != value:  # noqa: ASYNC110 (a figure is no event)
            await asyncio.sleep(0.05)


# --- logs


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """The JSON log, everything of it, as ``mytalk serve --log json --verbose`` writes it."""
    root = logging.getLogger()
    kept = [(one, one.level) for one in (root, *(logging.getLogger(name) for name in logs.OURS))]
    before, stream = root.handlers[:], io.StringIO()
    logs.begin(as_json=True, verbose=True, stream=stream)
    yield stream
    root.handlers[:] = before
    for logger, level in kept:
        logger.setLevel(level)


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


@pytest.mark.parametrize("thread", ["pull", "track"])
async def test_what_goes_wrong_on_the_engines_threads_is_logged_with_its_session(
    client: Client, server: Running, models: FakeModels, written: io.StringIO, thread: str
) -> None:
    def broken(*_: Any) -> Any:
        raise FloatingPointError("a NaN")

    await client.create()  # another one
    async with call(client, Microphone(babble(60)), Camera()) as (session, _):
        await eventually(lambda: bool(models.streams), seconds=10)
        setattr(models.streams[0], thread, broken)
        await eventually(lambda: any(one.failure is not None for one in server.sessions.all()), seconds=20)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    failed = [line for line in lines if line["level"] == "error"]
    assert len(failed) == 2  # by the thread, and by the session that is told
    assert "FloatingPointError" in failed[0]["traceback"]
    assert "untouched pictures" in failed[1]["message"]
    assert {line.get("session") for line in failed} == {session["id"][: logs.SHOWN_ID]}


async def test_what_an_engine_loses_is_logged_with_its_session(written: io.StringIO) -> None:
    told = asyncio.Event()

    def fail(_: object) -> None:
        logging.getLogger("streamer.test").error("told")
        told.set()

    engine = Engine(FakeModels, FakeClock())
    await engine.start()
    engine.seat(lambda models: models.stream(None), lambda _: None, fail, name="a-session-of-22-letters")
    await asyncio.to_thread(engine._fail, RuntimeError("the driver is gone"))
    await asyncio.wait_for(told.wait(), 10)
    await engine.close()
    [line] = [json.loads(line) for line in written.getvalue().splitlines() if "told" in line]
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


# --- TLS


def certificate(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_path, key_path = folder / f"{name}.pem", folder / f"{name}.key"
    cert_path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    key_path.write_bytes(key.private_bytes(*form))
    return cert_path, key_path


async def test_it_speaks_tls_where_it_has_a_certificate(
    config: ServerConfig, models: FakeModels, tmp_path: Path
) -> None:
    cert, key = certificate(tmp_path)
    async with running(replace(config, tls_cert=cert, tls_key=key), lambda: models) as server:
        await server.loading
        assert server.url.startswith("https://localhost:")
        trusted = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(cert)))
        async with aiohttp.ClientSession(connector=trusted) as http, http.get(f"{server.url}readyz") as answer:
            assert answer.status == 200
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(cert)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=old)) as http:
            with pytest.raises(aiohttp.ClientConnectorError):
                await http.get(f"{server.url}readyz")


def test_certificates_of_no_use_are_told(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    _, other = certificate(tmp_path, "other")
    for given, words in (
        ((cert, other), "no pair"),
        ((tmp_path / "none", key), "No such file"),
        ((None, key), "--tls-cert"),
    ):
        with pytest.raises(OptionError, match=words):
            tls_context(*given)
    assert tls_context(None, None) is None


# --- bounds

POST = b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\n"


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    """Everything until the server closes; what a reset cuts off is empty."""
    with suppress(ConnectionError):
        return await reader.read()
    return b""


def port_of(server: Running) -> int:
    return int(server.url.rstrip("/").rsplit(":", 1)[1])


async def test_who_sends_a_head_or_a_body_byte_by_byte_is_put_out_and_others_are_served(
    config: ServerConfig, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_WAIT", 1.0)
    monkeypatch.setattr(middleware, "BODY_WAIT", 1.0)
    body = POST + b"Content-Type: application/json\r\nContent-Length: 999\r\n\r\n{"
    async with running(config, lambda: models) as up, aiohttp.ClientSession() as http:
        await up.loading
        slow = []
        for start in (b"", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-", body):
            for _ in range(60):
                reader, writer = await asyncio.open_connection("127.0.0.1", port_of(up))
                writer.write(start)
                slow.append((reader, writer))

        async def dribble() -> None:
            while True:
                for _, writer in slow[60:]:
                    with suppress(ConnectionError):
                        writer.write(b"a")
                await asyncio.sleep(0.2)

        dribbling = asyncio.create_task(dribble())
        assert (await ask(Client(http, up.url), "GET", "/readyz", None)).status == 200
        ends = await asyncio.wait_for(asyncio.gather(*(answer_of(reader) for reader, _ in slow)), 30)
        assert sum(b" 408 " in end for end in ends) >= 50
        assert not any(b" 200 " in end or b" 500 " in end for end in ends)
        assert (await ask(Client(http, up.url), "GET", "/readyz", None)).status == 200
        dribbling.cancel()
        for _, writer in slow:
            writer.close()


async def test_there_are_only_so_many_connections(config: ServerConfig, models: FakeModels) -> None:
    async with running(replace(config, max_connections=20), lambda: models) as up, aiohttp.ClientSession() as http:
        await up.loading
        pairs = [await asyncio.open_connection("127.0.0.1", port_of(up)) for _ in range(60)]
        refused = [asyncio.create_task(answer_of(reader)) for reader, _ in pairs]
        await eventually(lambda: sum(one.done() for one in refused) >= 40, seconds=10)
        assert sum(one.done() for one in refused) == 40
        for _, writer in pairs:
            writer.close()
        await asyncio.gather(*refused)
        client = Client(http, up.url)
        await asyncio.sleep(0.2)
        assert (await figures(client))["mytalk_http_refused_total"] == 40


async def test_a_flood_is_bounded_and_a_live_session_goes_on(config: ServerConfig, models: FakeModels) -> None:
    async with running(replace(config, requests_per_minute=300), lambda: models) as up, aiohttp.ClientSession() as http:
        await up.loading
        client = Client(http, up.url)
        async with published(client) as (session, _):
            viewer = await watch(client, session)
            await viewer.until(pictures=3)
            many = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=50))
            async with many:
                flood = [ask(Client(many, up.url), "GET", f"/v1/sessions/{n}", None) for n in range(1500)]
                answers = await asyncio.gather(*flood)
            statuses = {answer.status for answer in answers}
            assert statuses <= {404, 429}
            refused = [answer for answer in answers if answer.status == 429]
            assert len(refused) > 1000
            assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)
            seen = len(viewer.pictures)
            await viewer.until(pictures=seen + 5)
            await viewer.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: b\x00c\r\n\r\n",
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: -5\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"\r\n\r\n\r\n\x00\xff",
    ],
)
async def test_what_is_no_http_gets_no_more_than_a_refusal(client: Client, server: Running, raw: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    writer.write(raw)
    writer.write_eof()
    answer = await asyncio.wait_for(answer_of(reader), 20)
    writer.close()
    assert re.match(rb"(HTTP/1\.[01] 4\d\d |$)", answer), answer[:200]
    assert (await ask(client, "GET", "/healthz", None)).status == 200


async def test_a_body_over_the_limit_is_413_however_it_is_declared(client: Client) -> None:
    async def pieces() -> Any:
        for _ in range(200):
            yield b" " * 1024

    for given in ({"data": b" " * 200_000}, {"data": pieces()}):
        answer = await ask(client, "POST", "/v1/sessions", None, headers={"Content-Type": "application/json"}, **given)
        assert answer.status == 413
