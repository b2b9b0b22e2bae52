"""Callers who mean harm: whatever they send, nothing answers 500, nothing is left, and the next caller is served."""

from __future__ import annotations

import asyncio
import resource
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from mytalk.errors import UnreadableError
from mytalk.media.face_source import open_face
from streamer.config.server_config import ServerConfig
from streamer.http.server import Running, running
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.fuzzing import nothing_went_wrong
from tests.streamer.support.http_client import Client, ask
from tests.streamer.support.offers import GOOD
from tests.streamer.support.waiting import eventually
from tests.streamer.support.whip_clients import SDP, post

FIXTURES = Path(__file__).parents[3] / "clients" / "fixtures"


async def test_ids_and_headers_carry_nothing_into_paths_headers_or_logs(
    config: ServerConfig, models: FakeModels, caplog: pytest.LogCaptureFixture
) -> None:
    ids = [
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e",
        "%00",
        "%0d%0aX-Evil:%201",
        "%0d%0a%0d%0a<script>",
        "a" * 5000,
        "%ff%fe",
        "%E2%80%AE",
        "{id}",
        "%7Bid%7D",
        "'%20or%201=1--",
        "__class__",
    ]
    config = replace(config, redirect="https://other.example/")
    async with running(config, lambda: models) as server, aiohttp.ClientSession() as http:
        await server.loading
        client = Client(http, server.url)
        session = await client.create()
        with nothing_went_wrong(caplog):
            for evil in ids:
                paths = [f"/v1/sessions/{evil}", f"/v1/sessions/{evil}/clear"]
                paths += [f"{session['urls']['session']}/{one}/{evil}" for one in ("whip", "whep")]
                for path in paths:
                    for method in ("GET", "POST", "PATCH", "DELETE"):
                        answer = await ask(client, method, path, session["token"])
                        assert answer.status in (400, 404, 405, 415, 428), (method, path[:60], answer.status)
                        assert "X-Evil" not in answer.headers
                        assert "passwd" not in answer.text
                elsewhere = await post(client, f"/v1/sessions/{evil}/whip", session["token"], "v=0")
                assert elsewhere.status in (307, 404)
                if elsewhere.status == 307:
                    assert elsewhere.headers["Location"].startswith("https://other.example/v1/sessions/")
                    assert "X-Evil" not in elsewhere.headers
            for bearer in (
                "",
                " ",
                "Bearer",
                "Bearer  ",
                "Bearer \xe9",
                "bearer " + "a" * 4000,
                "Basic Og==",
                "Bearer a b c",
            ):
                headers = {"Authorization": bearer}
                assert (await ask(client, "GET", session["urls"]["session"], None, headers=headers)).status in (
                    401,
                    403,
                )
        assert "Evil" not in caplog.text


async def test_a_websocket_flood_of_refused_callers_leaves_nothing(client: Client, server: Running) -> None:
    session = await client.create(source="portrait", speech="stream")
    url = client.url + session["urls"]["stream"]
    tasks = len(asyncio.all_tasks())

    async def refused(number: int) -> int | None:
        protocols = ("mytalk.v1", f"mytalk.token.{'x' * (number % 90)}")
        async with client.http.ws_connect(url, protocols=protocols) as socket:
            async for _ in socket:
                pass
            return socket.close_code

    codes = await asyncio.gather(*(refused(number) for number in range(150)))
    assert set(codes) == {1008}
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks + 2)
    assert (await client.state(session))["state"] == "new"


async def test_a_message_over_the_limit_closes_with_1009(client: Client) -> None:
    session = await client.create(source="portrait", speech="stream")
    url = client.url + session["urls"]["stream"]
    async with client.http.ws_connect(url, protocols=("mytalk.v1", f"mytalk.token.{session['token']}")) as socket:
        limits = (await socket.receive_json())["limits"]
        await socket.send_bytes(b"\0" * (limits["message_bytes"] + 1000))
        async for _ in socket:
            pass
        assert socket.close_code == 1009


async def test_offers_of_other_encodings_and_shapes_are_refused(client: Client) -> None:
    session = await client.create()
    bodies = [b"\xff\xfe" * 100, b"\0" * 1000, GOOD.encode("utf-16"), b"v=0\r\n" * 10_000, b"m=" + b"audio " * 5000]
    for body in bodies:
        for name in ("whip", "whep", "webrtc"):
            for kind in (SDP, f"{SDP}; charset=nonsense", f"{SDP}; charset=utf-16"):
                headers = {"Content-Type": kind}
                answer = await ask(client, "POST", session["urls"][name], session["token"], data=body, headers=headers)
                assert answer.status in (400, 406), (name, kind, body[:20], answer.status)


# --- pictures


def png(path: Path, width: int, height: int, *extra: tuple[bytes, bytes], rows: int | None = None) -> Path:
    """A grey picture, one bit a pixel, of which ``rows`` are there; the others are promised."""
    line = b"\0" * (1 + (width + 7) // 8)
    packed = zlib.compress(line * (height if rows is None else rows), 1)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)),
        *extra,
        (b"IDAT", packed),
        (b"IEND", b""),
    ]
    written = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(written))
    return path


def test_a_picture_of_20000_by_20000_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    path = png(tmp_path / "bomb.png", 20_000, 20_000)
    assert path.stat().st_size < 1_000_000  # for 400 million pixels
    before = peak_memory()
    with pytest.raises(UnreadableError, match=r"too large|pixels"):
        open_face(path)
    assert peak_memory() - before < 200_000_000


def test_a_picture_that_promises_more_than_it_holds_or_than_there_is_room_for_is_refused(tmp_path: Path) -> None:
    for width, height in ((2**31 - 1, 1), (65_535, 65_535), (1, 2**31 - 1), (9000, 16)):
        with pytest.raises(UnreadableError):
            open_face(png(tmp_path / "promise.png", width, height, rows=0))


def peak_memory() -> int:
    """Bytes that the process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def test_a_server_with_such_a_portrait_says_so_and_goes_on(
    config: ServerConfig, models: FakeModels, tmp_path: Path
) -> None:
    config = replace(config, portrait=png(tmp_path / "bomb.png", 20_000, 20_000))
    async with running(config, lambda: models) as server, aiohttp.ClientSession() as http:
        await server.loading
        client = Client(http, server.url)
        answer = await ask(client, "POST", "/v1/sessions", None, json={"source": "portrait"})
        assert answer.status == 400
        assert "pixels" in answer.text or "too large" in answer.text
        await client.create()
