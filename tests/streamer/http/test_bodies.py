"""Bodies of requests: of nobody without a right, inflated never, bounded in size, time and number."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from streamer.config.server_config import ServerConfig
from streamer.errors import RequestError
from streamer.http import upload as upload_module
from streamer.http.server import running
from streamer.http.upload import UPLOADS
from tests.streamer.support.api_keys import Keys, make
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.honest_session import honest_session
from tests.streamer.support.http_client import Client, ask
from tests.streamer.support.waiting import LIMIT_S, eventually

FORM = "multipart/form-data; boundary=b"


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    keys = Keys(tmp_path / "keys.json")
    keys.add("admin", name="first")
    return keys


@asynccontextmanager
async def serving(config: ServerConfig, **changes: object) -> AsyncIterator[Client]:
    async with running(replace(config, **changes), FakeModels) as server, aiohttp.ClientSession() as http:
        await server.loading
        yield Client(http, server.url)


class Unfinished:
    """A request whose head is sent and whose body is not, or in part."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def sent(
        cls, client: Client, path: str, bearer: str | None = None, length: int = 50_000, **headers: str
    ) -> Unfinished:
        host = urlsplit(client.url)
        reader, writer = await asyncio.open_connection("127.0.0.1", host.port)
        lines = [f"POST {path} HTTP/1.1", f"Host: localhost:{host.port}", f"Content-Length: {length}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += [f"Authorization: Bearer {bearer}"] if bearer is not None else []
        writer.write("\r\n".join([*lines, "", ""]).encode())
        await writer.drain()
        return cls(reader, writer)

    async def status(self) -> int:
        """Of the answer, which comes although the body does not."""
        line = await asyncio.wait_for(self.reader.readline(), 5)
        return int(line.split()[1])

    async def cut(self) -> None:
        """Returns when the server has closed the connection, although the body still comes."""

        async def send() -> None:
            with suppress(ConnectionError):
                while not self.writer.transport.is_closing():
                    self.writer.write(bytes(1000))
                    await self.writer.drain()
                    await asyncio.sleep(0.05)

        try:
            async with asyncio.timeout(LIMIT_S):
                await asyncio.gather(send(), self.reader.read(), return_exceptions=True)
        except TimeoutError:
            pytest.fail("the connection was left open")

    def close(self) -> None:
        self.writer.close()


@pytest.mark.parametrize("path", ["/v1/sessions", "/nothing", "/healthz"])
@pytest.mark.parametrize("encoding", ["deflate", "gzip", "br", "identity, gzip"])
async def test_an_encoded_body_is_refused_unread(config: ServerConfig, keys: Keys, path: str, encoding: str) -> None:
    async with serving(config, keys=keys.path) as client:
        request = await Unfinished.sent(client, path, Content_Encoding=encoding, Content_Type="application/json")
        assert await request.status() == 415
        request.close()


async def test_an_honest_session_feels_nothing_of_bodies_that_would_inflate(client: Client) -> None:
    bomb = await asyncio.to_thread(zlib.compress, bytes(200_000_000), 9)
    async with honest_session(client) as honest:
        honest.begin()
        headers = {"Content-Encoding": "deflate", "Content-Type": "application/json"}
        for _ in range(4):
            assert (await ask(client, "POST", "/v1/sessions", None, data=bomb, headers=headers)).status == 415
        await honest.goes_on()
        felt = honest.felt()
    assert felt.memory_mb < 50


async def test_no_body_is_awaited_of_a_caller_without_the_right(config: ServerConfig, keys: Keys) -> None:
    key = keys.add("publish")
    async with serving(config, keys=keys.path) as client:
        _, session = await make(client, key, source="portrait", speech="stream")
        cases = [("/v1/sessions", None, 401, kind) for kind in ("application/json", FORM)]
        cases += [("/v1/sessions", keys.add("view"), 403, FORM)]
        for name, kind in (("webrtc", "application/sdp"), ("whip", "application/sdp"), ("tokens", "application/json")):
            cases += [(session["urls"][name], None, 401, kind), (session["urls"][name], "nonsense", 403, kind)]
        cases += [(session["urls"]["clear"], session["view_token"], 403, "application/json")]
        for path, bearer, expected, kind in cases:
            request = await Unfinished.sent(client, path, bearer, Content_Type=kind)
            assert await request.status() == expected, (path, bearer, kind)
            request.close()


@pytest.mark.parametrize(
    ("path", "length", "kind"),
    [("/v1/sessions", 200_000, "application/json"), ("/v1/sessions", 1 << 30, FORM), ("/nothing", 200_000, "a/b")],
)
async def test_a_connection_is_cut_after_a_body_that_was_refused(
    client: Client, path: str, length: int, kind: str
) -> None:
    request = await Unfinished.sent(client, path, length=length, Content_Type=kind)
    assert await request.status() == (404 if path == "/nothing" else 413)
    await request.cut()


async def test_a_body_that_says_no_length_is_bounded_too(client: Client) -> None:
    async def lines() -> AsyncIterator[bytes]:
        for _ in range(400):
            yield b"\n" * 65_536

    answer = await ask(client, "POST", "/v1/sessions", None, data=lines(), headers={"Content-Type": FORM})
    assert answer.status == 413


async def test_a_form_of_nothing_but_lines_before_its_first_part_holds_nobody_up(client: Client) -> None:
    headers = {"Content-Type": FORM}
    answer = await ask(client, "POST", "/v1/sessions", None, data=io.BytesIO(b"\n" * 8_000_000), headers=headers)
    assert answer.status == 400


async def test_a_session_that_is_being_made_has_its_place_already(config: ServerConfig, keys: Keys) -> None:
    key, other = keys.add("publish", sessions=1), keys.add("publish")
    config = replace(config, keys=keys.path, max_sessions=2)
    async with running(config, FakeModels) as server, aiohttp.ClientSession() as http:
        await server.loading
        client = Client(http, server.url)
        upload = await Unfinished.sent(client, "/v1/sessions", key, Content_Type=FORM)
        await eventually(lambda: server.sessions.count_of(key.split("_")[1]) == 1)
        assert (await make(client, key))[0] == 429
        assert (await make(client, other))[0] == 201
        second = await Unfinished.sent(client, "/v1/sessions", other, Content_Type=FORM)
        assert await second.status() == 503
        second.close()
        upload.close()
        await eventually(lambda: server.sessions.count_of(key.split("_")[1]) == 0)
        assert (await make(client, key))[0] == 201


async def test_six_at_once_do_not_pass_a_limit_of_one(config: ServerConfig, keys: Keys) -> None:
    key = keys.add("publish", sessions=1)
    async with serving(config, keys=keys.path, max_sessions=6) as client:
        answers = await asyncio.gather(*(make(client, key, source="portrait", speech="demo") for _ in range(6)))
    assert sorted(status for status, _ in answers) == [201, *[429] * 5]


async def test_a_few_uploads_are_read_at_a_time(config: ServerConfig) -> None:
    async with serving(config, max_sessions=50) as client:
        uploads = [await Unfinished.sent(client, "/v1/sessions", Content_Type=FORM) for _ in range(UPLOADS)]
        headers = {"Content-Type": FORM}
        async with asyncio.timeout(LIMIT_S):  # 400: they are not there yet
            while (one_more := await ask(client, "POST", "/v1/sessions", None, headers=headers)).status == 400:
                pass
        assert (one_more.status, one_more.headers["Retry-After"]) == (503, "2")
        await client.create()
        for upload in uploads:
            upload.close()


async def test_a_delimiter_across_two_steps_of_the_search_is_found() -> None:
    for ahead in (upload_module._STEP - 12, upload_module._STEP - 3, upload_module._STEP, 3 * upload_module._STEP - 1):
        portrait = b"x" * ahead
        head = b'Content-Disposition: form-data; name="portrait"'
        body = b"--b\r\n" + head + b"\r\n\r\n" + portrait + b"\r\n--b--\r\n"
        assert await upload_module._named(body, FORM) == {"portrait": portrait}


async def test_the_loop_turns_while_an_upload_is_searched() -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    with pytest.raises(RequestError):
        await upload_module._named(b"\r\n--" * (2 << 20), FORM)
    turning.cancel()
    assert turns >= 8


async def test_unfinished_uploads_leave_no_memory_once_their_clients_have_gone(config: ServerConfig) -> None:
    async with serving(config, max_sessions=50) as client, honest_session(client) as honest:
        tracemalloc.start()
        gc.disable()
        try:
            uploads = [
                await Unfinished.sent(client, "/v1/sessions", length=6_000_000, Content_Type=FORM)
                for _ in range(UPLOADS)
            ]
            for upload in uploads:
                for _ in range(50):
                    upload.writer.write(bytes(100_000))
                    await upload.writer.drain()
            await eventually(lambda: tracemalloc.get_traced_memory()[0] > UPLOADS * 4_000_000)
            for upload in uploads:
                upload.close()
            await eventually(lambda: tracemalloc.get_traced_memory()[0] < 10_000_000)
            await honest.goes_on()
        finally:
            gc.enable()
            tracemalloc.stop()


async def test_a_compressed_websocket_message_is_a_protocol_error(client: Client) -> None:
    session = await client.create(source="portrait", speech="stream")
    url = client.url + session["urls"]["stream"]
    protocols = ("mytalk.v1", f"mytalk.token.{session['token']}")
    async with client.http.ws_connect(url, protocols=protocols, compress=15) as socket:
        assert socket.compress == 0  # the server agrees to none
        message = zlib.compressobj(wbits=-15)
        packed = message.compress(json.dumps({"type": "ping"}).encode()) + message.flush(zlib.Z_SYNC_FLUSH)
        transport = socket._writer.transport
        transport.write(bytes([0xC1, 0x80 | len(packed[:-4])]) + bytes(4) + packed[:-4])
        async for _ in socket:
            pass
        assert socket.close_code == 1002
