"""``POST /v1/verify``: what a server says of a film that a stranger sends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from streamer.trust import verifier
from streamer.trust.credential import own_credential
from streamer.trust.manifest import MadeFilm, ManifestSigner
from tests.streamer.support.http_client import Client, reason, request
from tests.streamer.trust.films import noise_film

FILM = {"Content-Type": "application/octet-stream"}


async def test_a_signed_film_is_found_to_be_marked(client: Client, tmp_path: Path) -> None:
    path = noise_film(tmp_path / "a.mp4")
    ManifestSigner(own_credential(tmp_path)).sign(path, MadeFilm(preset="edge", seed=0))
    status, report, headers = await request(client, "POST", "/v1/verify", data=path.read_bytes(), headers=FILM)
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    assert (report["marked"], report["manifest"]["state"]) == (True, "valid")
    assert report["watermark"]["payloads"] == []


async def test_what_is_no_film_is_refused(client: Client) -> None:
    status, answer, _ = await request(client, "POST", "/v1/verify", data=b"no film" * 100, headers=FILM)
    assert status == 400
    assert reason(answer).startswith("film")


async def test_a_film_that_is_too_long_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamer.http.verification.MOST_BYTES", 1000)
    status, _, _ = await request(client, "POST", "/v1/verify", data=bytes(1001), headers=FILM)
    assert status == 413


async def test_a_verification_that_takes_too_long_is_ended(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier, "WALL_SECONDS", 0.0)
    status, answer, _ = await request(client, "POST", "/v1/verify", data=bytes(1000), headers=FILM)
    assert status == 400
    assert "not verified within" in reason(answer)


async def test_one_film_is_verified_at_a_time(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    began, may_end = asyncio.Event(), asyncio.Event()

    async def held(film: bytes, place: Path) -> bytes:
        began.set()
        await may_end.wait()
        return b"{}"

    monkeypatch.setattr(verifier, "_report", held)
    first = asyncio.create_task(request(client, "POST", "/v1/verify", data=b"a", headers=FILM))
    await began.wait()
    status, _, headers = await request(client, "POST", "/v1/verify", data=b"b", headers=FILM)
    assert (status, headers["Retry-After"]) == (503, str(verifier.RETRY))
    may_end.set()
    assert (await first)[0] == 200
