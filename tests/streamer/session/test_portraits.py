"""Portraits that clients bring: bounded, checked before they are decoded, with consent, and with a face."""

from __future__ import annotations

import io
import json
import signal
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest
from PIL import Image

from mytalk import Picture
from mytalk.errors import NoFaceError, UnreadableError
from streamer.config.server_config import ServerConfig
from streamer.errors import BusyError
from streamer.http.server import running
from streamer.session import portrait_decoder, portrait_worker
from streamer.session.picture_header import MAX_BYTES, MAX_SCANS, count_scans, size_of
from streamer.session.portrait_decoder import PortraitDecoder
from streamer.session.portrait_worker import LIVE_SIDE, decoded
from streamer.session.portraits import face_of
from streamer.trust.consent import ConsentRegister
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, bearer
from tests.support.heic import heic_grid

CONSENT = {"who": "Jane Doe", "when": "2026-11-25", "purpose": "a greeting on our page"}


def encoded(rgb: np.ndarray, kind: str = ".png") -> bytes:
    return bytes(cv2.imencode(kind, rgb[:, :, ::-1])[1])


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that says it is enormous, and is."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1 << 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def face(portrait: Picture) -> np.ndarray:
    return portrait.rgb()


@pytest.mark.parametrize("kind", [".png", ".jpg", ".webp"])
def test_a_face_is_read_from_every_usual_kind(face: np.ndarray, kind: str) -> None:
    data = encoded(face, kind)
    assert size_of(data) == (512, 512)
    source = face_of(PortraitDecoder().decode(data))
    assert (source.picture.width, source.still) == (512, True)


def test_a_telephones_photo_of_tiles_is_uploaded_whole(face: np.ndarray) -> None:
    tiles = [face[y : y + 256, x : x + 256] for y in (0, 256) for x in (0, 256)]
    data = heic_grid(tiles, columns=2)
    assert size_of(data) == (512, 512)
    rgb = PortraitDecoder().decode(data)
    assert np.abs(rgb.astype(int) - face).mean() < 5
    assert face_of(rgb).picture.width == 512


@pytest.mark.parametrize("size", [(20_000, 20_000), (8000, 8000), (0, 0)])
def test_an_enormous_photo_is_not_decoded(
    face: np.ndarray, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portrait_worker, "read_still", lambda *_: pytest.fail("decoded"))
    tile = np.ascontiguousarray(face[:256, :256])
    sizes = [b"ispe" + bytes(4) + struct.pack(">II", *pair) for pair in ((256, 256), (512, 256), size)]
    data = heic_grid([tile, tile], columns=2).replace(sizes[1], sizes[2])
    if 0 in size:
        data = data.replace(sizes[0], sizes[2])
    with pytest.raises(UnreadableError, match="pixels"):
        decoded(data)


def test_a_large_picture_is_made_smaller(face: np.ndarray) -> None:
    large = cv2.resize(face, (3000, 2000))
    assert size_of(encoded(large, ".jpg")) == (3000, 2000)
    assert decoded(encoded(large, ".jpg")).shape == (683, LIVE_SIDE, 3)


def test_a_picture_stands_upright_over_white(face: np.ndarray) -> None:
    rgba = np.dstack([face, np.full(face.shape[:2], 255, np.uint8)])
    rgba[:256] = (255, 0, 255, 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("PNG", "WEBP"):
        file = io.BytesIO()
        Image.fromarray(rgba).save(file, kind, exif=exif, lossless=True)
        rgb = decoded(file.getvalue())
        assert np.abs(rgb[:, 256:].astype(int) - 255).max() <= 1  # the upper half is at the right
        assert np.abs(rgb[:, 255::-1].transpose(1, 0, 2).astype(int) - face[256:]).mean() < 3


def test_a_cut_off_jpeg_is_refused(face: np.ndarray) -> None:
    data = encoded(face, ".jpg")
    with pytest.raises(UnreadableError, match="damaged"):
        decoded(data[: len(data) // 2])


def test_a_picture_without_a_face_is_refused() -> None:
    with pytest.raises(NoFaceError, match="from the front"):
        face_of(np.full((256, 256, 3), 90, np.uint8))


@pytest.mark.parametrize("size", [(20_000, 20_000), (1 << 31, 1), (0, 5), (8000, 8000)])
def test_an_enormous_picture_is_not_decoded(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portrait_worker, "read_still", lambda *_: pytest.fail("decoded"))
    with pytest.raises(UnreadableError, match="pixels"):
        decoded(bomb(*size))


def progressive(face: np.ndarray, scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    data = bytes(cv2.imencode(".jpg", face[:, :, ::-1], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1])
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * (scans - data.count(b"\xff\xda")) + data[-2:]


def test_scans_of_a_jpeg_are_counted_before_it_is_decoded(face: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = progressive(face, 10)
    assert count_scans(usual) == 10
    assert count_scans(encoded(face, ".jpg")) == 1
    assert count_scans(usual + usual) == 10  # what comes after the end is no part of it
    assert decoded(usual).shape == (512, 512, 3)
    monkeypatch.setattr(portrait_worker, "read_still", lambda *_: pytest.fail("decoded"))
    with pytest.raises(UnreadableError, match=f"{MAX_SCANS + 1} scans"):
        decoded(progressive(face, MAX_SCANS + 1))


def test_a_decoder_refuses_in_the_words_of_its_process(face: np.ndarray) -> None:
    decoder = PortraitDecoder()
    with pytest.raises(UnreadableError, match="20000 x 20000 pixels"):
        decoder.decode(bomb(20_000, 20_000))
    with pytest.raises(UnreadableError, match="damaged"):
        decoder.decode(bomb(200, 200)[:-40])


def test_a_picture_that_takes_too_long_is_given_up_and_its_process_ended(
    face: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portrait_decoder, "SECONDS", 0.01)  # less than a process needs to begin
    decoder = PortraitDecoder()
    started: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(decoder, "_start", lambda start=decoder._start: started.append(start()) or started[-1])
    with pytest.raises(UnreadableError, match="not decoded within"):
        decoder.decode(encoded(face))
    assert started[0].returncode == -signal.SIGKILL


def test_closing_ends_what_is_being_decoded(face: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = PortraitDecoder()
    process = decoder._start()
    monkeypatch.setattr(decoder, "_start", lambda: process)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(decoder.decode, encoded(face))
        decoder.close()
        with pytest.raises(UnreadableError, match="cannot be decoded"):
            waiting.result()
    assert process.returncode == -signal.SIGKILL
    monkeypatch.undo()
    with pytest.raises(BusyError):
        decoder.decode(encoded(face))


def test_the_process_that_decodes_loads_no_models_and_no_server() -> None:
    heavy = "{'torch', 'onnxruntime', 'pillow_heif', 'aiohttp'} & set(sys.modules)"
    code = f"import sys, streamer.session.portrait_worker; print(*({heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def form(portrait: bytes | None, **session: object) -> aiohttp.FormData:
    data = aiohttp.FormData(default_to_multipart=True)
    data.add_field("session", json.dumps(session), content_type="application/json")
    if portrait is not None:
        data.add_field("portrait", io.BytesIO(portrait), filename="me.png", content_type="image/png")
    return data


async def post(client: Client, data: Any, **given: Any) -> tuple[int, dict[str, Any]]:
    async with client.http.post(f"{client.url}/v1/sessions", data=data, **given) as response:
        return response.status, await response.json()


async def test_a_session_has_the_face_that_was_brought_and_its_consent(
    client: Client, models: FakeModels, face: np.ndarray
) -> None:
    status, session = await post(client, form(encoded(face), speech="stream", consent=CONSENT))
    assert status == 201, session
    assert (await client.state(session))["consent"] == CONSENT
    async with client.http.delete(client.url + session["urls"]["session"], headers=bearer(session)) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("session", "picture", "status", "words"),
    [
        ({"source": "live"}, b"x", 400, "need portrait"),
        ({"consent": {"who": "x"}}, b"x", 400, "consent.when is missing (known: who, when, purpose, until)"),
        ({"consent": CONSENT | {"when": "yesterday"}}, b"x", 400, "ISO 8601"),
        ({"consent": CONSENT | {"who": "x" * 201}}, b"x", 400, "200 characters"),
        ({"colour": 1}, b"x", 400, "unknown field"),
        ({}, b"GIF89a", 400, "PNG, JPEG, WebP or HEIC"),
        ({}, b"\xff\xd8\xff\xc0", 400, "whole"),
        ({}, None, 400, "no part named portrait"),
        ({}, bytes(MAX_BYTES + 1), 413, "over 8388608 bytes"),
    ],
)
async def test_what_is_wrong_with_an_upload_is_said(
    client: Client, session: dict[str, Any], picture: bytes | None, status: int, words: str
) -> None:
    answer, body = await post(client, form(picture, **session))
    assert (answer, words in body["error"]["message"]) == (status, True), body


@pytest.mark.parametrize(
    "body", [b"", b"--x", b"--x\r\n\r\n\r\n--x--", b"--x\r\nContent-Disposition: form-data\r\n\r\n1"]
)
async def test_a_body_that_is_no_form_is_a_bad_request(client: Client, body: bytes) -> None:
    status, answer = await post(client, body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert (status, set(answer)) == (400, {"error"})


async def test_a_server_may_want_consent(config: ServerConfig, models: FakeModels, face: np.ndarray) -> None:
    async with (
        running(replace(config, require_consent=True), lambda: models) as server,
        aiohttp.ClientSession() as http,
    ):
        await server.loading
        client = Client(http, server.url)
        status, body = await post(client, form(encoded(face), speech="stream"))
        assert (status, "consent" in body["error"]["message"]) == (403, True)
        status, _ = await post(client, form(encoded(face), speech="stream", consent=CONSENT))
        assert status == 201


async def test_a_revoked_portrait_is_refused(
    config: ServerConfig, models: FakeModels, face: np.ndarray, tmp_path: Path
) -> None:
    register = tmp_path / "consents.db"
    async with (
        running(replace(config, consents=register), lambda: models) as server,
        aiohttp.ClientSession() as http,
    ):
        await server.loading
        client = Client(http, server.url)
        status, _ = await post(client, form(encoded(face), speech="stream", consent=CONSENT))
        assert status == 201
        assert ConsentRegister(register).revoke(CONSENT["who"]) == 1
        status, body = await post(client, form(encoded(face), speech="stream", consent=CONSENT))
        assert (status, "revoked" in body["error"]["message"]) == (403, True)
