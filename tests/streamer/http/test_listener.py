"""TCP connections are encrypted where there is a certificate, counted, and bounded in number, size and time."""

from __future__ import annotations

import asyncio
import errno
import gzip
import logging
import re
import socket
import ssl
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mytalk.errors import OptionError
from streamer.config.server_config import ServerConfig
from streamer.http import body as body_module
from streamer.http import listener, server
from streamer.http.listener import ConnectionLimit, tls_context
from streamer.http.server import Running, running
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, ask
from tests.streamer.support.waiting import LIMIT_S, eventually
from tests.streamer.support.whip_clients import published, watch


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

        def shake_hands(port: int) -> None:
            with (
                socket.create_connection(("127.0.0.1", port)) as plain,
                old.wrap_socket(plain, server_hostname="localhost"),
            ):
                pass

        with pytest.raises(ssl.SSLError):
            await asyncio.to_thread(shake_hands, port_of(server))


def test_certificates_of_no_use_are_reported(tmp_path: Path) -> None:
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


POST = b"POST /v1/sessions HTTP/1.1\r\nHost: localhost\r\n"
JSON = POST + b"Content-Type: application/json\r\n"
BOMB = gzip.compress(bytes(50_000_000))
FORM = POST + b"Content-Type: multipart/form-data; boundary=b\r\n"


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    """Reads until the server closes; returns nothing where a reset cuts it off."""
    with suppress(ConnectionError):
        return await reader.read()
    return b""


def port_of(server: Running) -> int:
    return int(server.url.rstrip("/").rsplit(":", 1)[1])


async def test_bytes_of_http_are_counted_to_the_byte(client: Client, server: Running) -> None:
    request = POST + b"Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    writer.write(request)
    answer = await answer_of(reader)
    writer.close()
    counted = await client.figures()
    assert counted['mytalk_bytes_total{direction="in",via="http"}'] == len(request)
    assert counted['mytalk_bytes_total{direction="out",via="http"}'] == len(answer)
    again = await client.figures()
    assert again['mytalk_bytes_total{direction="out",via="http"}'] > len(answer) + 1000  # the figures themselves


async def test_who_sends_a_head_or_a_body_byte_by_byte_is_put_out_and_others_are_served(
    config: ServerConfig, models: FakeModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_WAIT", 1.0)
    monkeypatch.setattr(body_module, "BODY_WAIT", 1.0)
    body = POST + b"Content-Type: application/json\r\nContent-Length: 999\r\n\r\n{"
    async with running(replace(config, max_sessions=99), lambda: models) as up, aiohttp.ClientSession() as http:
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
        ends = await asyncio.wait_for(asyncio.gather(*(answer_of(reader) for reader, _ in slow)), LIMIT_S)
        assert sum(b" 408 " in end for end in ends) >= 50
        assert not any(b" 200 " in end or b" 500 " in end for end in ends)
        assert (await ask(Client(http, up.url), "GET", "/readyz", None)).status == 200
        dribbling.cancel()
        for _, writer in slow:
            writer.close()


async def test_silent_connections_give_way_to_a_client_that_asks(
    config: ServerConfig, models: FakeModels, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(replace(config, max_connections=20), lambda: models) as up, aiohttp.ClientSession() as http:
        await up.loading
        pairs = [await asyncio.open_connection("127.0.0.1", port_of(up)) for _ in range(60)]
        ends = [asyncio.create_task(answer_of(reader)) for reader, _ in pairs]
        await eventually(lambda: sum(one.done() for one in ends) >= 40)
        assert [one.done() for one in ends] == [True] * 40 + [False] * 20  # the oldest have gone
        assert (await Client(http, up.url).figures())["mytalk_http_refused_total"] == 41
        await eventually(lambda: ends[40].done())
        for _, writer in pairs:
            writer.close()
        await asyncio.gather(*ends)
        assert not [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR]


async def test_connections_that_are_being_answered_do_not_give_way(config: ServerConfig, models: FakeModels) -> None:
    config = replace(config, max_connections=5, max_sessions=99)
    async with running(config, lambda: models) as up, aiohttp.ClientSession() as http:
        await up.loading
        client = Client(http, up.url)
        session = await client.create()
        begun = [await asyncio.open_connection("127.0.0.1", port_of(up)) for _ in range(4)]
        for _, writer in begun:
            writer.write(POST + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{")
        await eventually(lambda: up.sessions._reserved.total() == 4)
        reader, _ = late = await asyncio.open_connection("127.0.0.1", port_of(up))  # the client's gives way
        more = await asyncio.open_connection("127.0.0.1", port_of(up))  # the late one does
        assert await answer_of(reader) == b""
        for begun_reader, writer in begun:
            writer.write(b"}")
            assert b" 201 " in await begun_reader.readline()
        assert not more[0].at_eof()
        for _, writer in (*begun, late, more):
            writer.close()
        async with aiohttp.ClientSession() as other:  # the first one's connection has given way
            assert (await Client(other, up.url).state(session))["state"] == "new"


async def test_connections_that_never_speak_tls_are_counted_and_closed(
    config: ServerConfig, models: FakeModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "HANDSHAKE_WAIT", 3.0)
    cert, key = certificate(tmp_path)
    config = replace(config, tls_cert=cert, tls_key=key, max_connections=20)
    async with running(config, lambda: models) as up:
        await up.loading
        silent = [await asyncio.open_connection("127.0.0.1", port_of(up)) for _ in range(50)]
        ends = [asyncio.create_task(answer_of(reader)) for reader, _ in silent]
        await eventually(lambda: sum(end.done() for end in ends) >= 30)
        assert sum(end.done() for end in ends) == 30
        await asyncio.wait_for(asyncio.gather(*ends), LIMIT_S)  # the others when their time is over
        for _, writer in silent:
            writer.close()
        trusted = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(cert)))
        async with aiohttp.ClientSession(connector=trusted) as http:
            assert (await Client(http, up.url).figures())["mytalk_http_refused_total"] == 30


async def test_a_server_stops_while_handshakes_wait(config: ServerConfig, models: FakeModels, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    async with running(replace(config, tls_cert=cert, tls_key=key), lambda: models) as up:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(up))
        await asyncio.sleep(0)
    assert await asyncio.wait_for(answer_of(reader), LIMIT_S) == b""
    writer.close()


class FullListener:
    """A listener whose process has no file descriptor left, for a while."""

    def __init__(self, real: socket.socket, failures: int) -> None:
        self.real = real
        self.failures = failures

    def fileno(self) -> int:
        return self.real.fileno()

    def accept(self) -> Any:
        if self.failures:
            self.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self.real.accept()


async def test_without_files_connections_wait_and_that_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="served")

    with socket.create_server(("127.0.0.1", 0)) as real:
        real.setblocking(False)
        connections = ConnectionLimit(most=5)
        connections.start(web.Server(answer), FullListener(real, failures=3), None)  # type: ignore[arg-type]
        url = f"http://127.0.0.1:{real.getsockname()[1]}/"
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            assert await response.text() == "served"
        connections.close()
    assert caplog.text.count("no connection can be accepted: Too many open files") == 1


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
        JSON + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        JSON + b"Content-Encoding: deflate\r\nContent-Length: 2\r\n\r\n{}",
        JSON + b"Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\n" + gzip.compress(b"{}")[:10],
        JSON + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(BOMB), BOMB),
        JSON + b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\n",
        JSON + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}",
        JSON + b"Content-Length: 50\r\n\r\n{}",
        FORM + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n--b",
        FORM + b"Content-Length: 90\r\n\r\n--b\r\nContent-Disposition: form-data; name=portrait\r\n\r\n",
        FORM + b"Content-Length: 40000\r\n\r\n--b\r\n" + b"X-A: b\r\n" * 5000,
    ],
)
async def test_what_is_no_http_gets_no_more_than_a_refusal(
    client: Client, server: Running, raw: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
    writer.write(raw)
    writer.write_eof()
    answer = await asyncio.wait_for(answer_of(reader), LIMIT_S)
    writer.close()
    assert re.match(rb"(HTTP/1\.[01] 4\d\d |$)", answer), answer[:200]
    assert (await ask(client, "GET", "/healthz", None)).status == 200
    assert not any('status="5' in name for name in await client.figures())
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR and one.name.startswith("streamer")]


async def test_a_body_over_the_limit_is_413_however_it_is_declared(client: Client) -> None:
    async def pieces() -> Any:
        for _ in range(200):
            yield b" " * 1024

    for given in ({"data": b" " * 200_000}, {"data": pieces()}):
        answer = await ask(client, "POST", "/v1/sessions", None, headers={"Content-Type": "application/json"}, **given)
        assert answer.status == 413
