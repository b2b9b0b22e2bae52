"""Damaged uploads and pictures: an error that says what is needed, nothing held, and the next upload is taken."""

from __future__ import annotations

import io
import json
from contextlib import suppress

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mytalk.errors import UnreadableError
from streamer.http.server import Running
from streamer.session.picture_header import check_size, count_scans
from streamer.session.portrait_decoder import PortraitDecoder
from streamer.session.portrait_worker import decoded
from tests.streamer.support.fuzzing import damaged_bytes, examples, nothing_went_wrong
from tests.streamer.support.honest_session import resident_megabytes
from tests.streamer.support.http_client import Client, ask
from tests.support.heic import heic_grid

PICTURE = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)


def encoded(kind: str, *options: int) -> bytes:
    return bytes(cv2.imencode(kind, PICTURE, list(options))[1])


PICTURES = [
    encoded(".png"),
    encoded(".jpg"),
    encoded(".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    encoded(".webp"),
    heic_grid([PICTURE, PICTURE], columns=2),
]
HEADS = [b"", PICTURES[-1][:40], b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF0000WEBPVP8X"]
BOUNDARY = "border"


def form(*parts: tuple[str, bytes]) -> bytes:
    """A multipart body (RFC 7578) of parts with their headers."""
    return b"".join(f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + body + b"\r\n" for head, body in parts) + (
        f"--{BOUNDARY}--\r\n".encode()
    )


SESSION = 'Content-Disposition: form-data; name="session"\r\nContent-Type: application/json'
PORTRAIT = 'Content-Disposition: form-data; name="portrait"; filename="me.png"\r\nContent-Type: image/png'
OPTIONS = json.dumps({"speech": "stream", "consent": {"who": "J", "when": "2026-11-25", "purpose": "x"}}).encode()
FORMS = [
    form((SESSION, OPTIONS), (PORTRAIT, PICTURES[0])),
    form((PORTRAIT, b"GIF89a"), (SESSION, b"{}")),
    form((f"{PORTRAIT}\r\nContent-Transfer-Encoding: base64", b"AAAA")),
    form((f"{PORTRAIT}\r\nContent-Encoding: deflate", b"x\x9c\3\0")),
]
JSONS = [b"{}", b'{"source": "portrait", "speech": "stream"}', b'{"controls": {"steps": 4}, "seed": 1}']
TYPES = [
    f"multipart/form-data; boundary={BOUNDARY}",
    f'multipart/form-data; boundary="{BOUNDARY}"; charset=nonsense',
    "multipart/form-data",
    "multipart/mixed; boundary=border",
    "application/json",
    "application/json; charset=utf-16",
    "text/plain",
]


@examples(400)
@given(damaged_bytes(PICTURES) | st.tuples(st.sampled_from(HEADS), st.binary(max_size=200)).map(b"".join))
def test_a_pictures_header_is_read_or_refused(data: bytes) -> None:
    with suppress(UnreadableError):
        check_size(data)
    assert count_scans(data) <= len(data)


@examples(200)
@given(data=damaged_bytes(PICTURES))
def test_a_damaged_picture_is_decoded_or_refused(data: bytes) -> None:
    try:
        rgb = decoded(data)
    except UnreadableError as error:
        assert_needs(str(error))
    else:
        assert rgb.dtype == np.uint8
        assert rgb.shape[2] == 3


def assert_needs(reason: str) -> None:
    """A refusal says what is needed."""
    assert reason.startswith("portrait: ")
    assert "need" in reason or "save it" in reason


@pytest.fixture
def decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decodes in the test's process: to start one for each example would take the time of a hundred."""
    monkeypatch.setattr(PortraitDecoder, "decode", lambda self, data: decoded(data))


@pytest.mark.filterwarnings("ignore::aiohttp.multipart.BadContentDispositionHeader")
@pytest.mark.filterwarnings("ignore::aiohttp.multipart.BadContentDispositionParam")
@examples(150)
@given(kind=st.sampled_from(TYPES), body=damaged_bytes(FORMS + JSONS) | st.binary(max_size=100))
async def test_an_upload_is_taken_or_refused_with_a_reason(
    client: Client, server: Running, decoder: None, caplog: pytest.LogCaptureFixture, kind: str, body: bytes
) -> None:
    with nothing_went_wrong(caplog):
        answer = await ask(client, "POST", "/v1/sessions", None, data=body, headers={"Content-Type": kind})
        assert answer.status in (201, 400, 403, 413, 415, 422), (answer.status, answer.text)
        if answer.status == 201:
            session = json.loads(answer.text)
            await ask(client, "DELETE", session["urls"]["session"], session["token"])
        else:
            assert json.loads(answer.text)["error"]["message"]


async def test_large_damaged_uploads_leave_no_memory(client: Client, decoder: None) -> None:
    body = form((SESSION, OPTIONS), (PORTRAIT, b"GIF89a" + bytes(4 << 20)))
    headers = {"Content-Type": TYPES[0]}
    for _ in range(3):  # what is loaded once
        await ask(client, "POST", "/v1/sessions", None, data=io.BytesIO(body), headers=headers)
    before = resident_megabytes()
    for _ in range(20):
        answer = await ask(client, "POST", "/v1/sessions", None, data=io.BytesIO(body), headers=headers)
        assert answer.status in (400, 403, 422)
    assert resident_megabytes() - before < 40
