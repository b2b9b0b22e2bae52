"""Another face in a running session: crossfaded, in the pictures' size, with the sound going on, and admitted anew."""

from __future__ import annotations

import asyncio
import gc
import io
import itertools
import json
import weakref
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest

from mytalk.media.face_source import FaceSource
from mytalk.picture import Picture
from streamer.config.server_config import ServerConfig
from streamer.http.server import Running, running
from streamer.protocol.packets import Kind
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, bearer
from tests.streamer.support.stream_client import Streamer
from tests.streamer.support.waiting import eventually
from tests.support.films import numbered, write_film

CONSENT = {"who": "Jane Doe", "when": "2026-11-25", "purpose": "a greeting on our page"}


@pytest.fixture
def face(portrait: Picture) -> bytes:
    return bytes(cv2.imencode(".png", portrait.rgb()[:, :, ::-1])[1])


@pytest.fixture
def faces(tmp_path: Path, face: bytes) -> Path:
    folder = tmp_path / "faces"
    folder.mkdir()
    (folder / "clerk.png").write_bytes(face)
    write_film(folder / "idle.mp4", map(numbered, range(10)))
    return folder


@pytest.fixture
async def server(config: ServerConfig, models: FakeModels, faces: Path) -> AsyncIterator[Running]:
    async with running(replace(config, faces=faces), lambda: models) as server:
        await server.loading
        yield server


async def change(client: Client, session: dict[str, Any], **given: Any) -> tuple[int, dict[str, Any]]:
    url = client.url + session["urls"]["face"]
    async with client.http.post(url, headers=bearer(session), **given) as response:
        return response.status, await response.json()


def form(portrait: bytes, **session: object) -> aiohttp.FormData:
    data = aiohttp.FormData(default_to_multipart=True)
    data.add_field("session", json.dumps(session), content_type="application/json")
    data.add_field("portrait", io.BytesIO(portrait), filename="me.png", content_type="image/png")
    return data


@pytest.fixture
async def viewer(client: Client) -> AsyncIterator[Streamer]:
    """A viewer of the demo's speech, who has seen some pictures."""
    session = await client.create(source="portrait", speech="demo")
    viewer = Streamer(client, session)
    await viewer.connect()
    await viewer.send(type="session.update", output={"audio": "pcm16", "video": "jpeg"})
    await viewer.until(lambda: len(viewer.of(Kind.VIDEO_JPEG)) > 5)
    yield viewer
    await viewer.close()


def picture(viewer: Streamer, index: int = -1) -> np.ndarray:
    data = np.frombuffer(viewer.of(Kind.VIDEO_JPEG)[index].payload, np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), float)


async def shows_on(viewer: Streamer, pictures: int = 5) -> None:
    enough = len(viewer.of(Kind.VIDEO_JPEG)) + pictures
    await viewer.until(lambda: len(viewer.of(Kind.VIDEO_JPEG)) >= enough)


@pytest.mark.usefixtures("always_dubbed")
async def test_another_face_comes_without_a_gap_or_a_jump(client: Client, viewer: Streamer, face: bytes) -> None:
    before = picture(viewer)
    status, answer = await change(client, viewer.session, data=form(face, consent=CONSENT))
    assert (status, answer["state"]) == (202, "live")
    changed = await viewer.one("face.changed")
    await viewer.until(lambda: viewer.of(Kind.VIDEO_JPEG)[-1].pts > changed["pts"] + 5 * 640)
    after = picture(viewer)
    assert after.shape == before.shape == (256, 256, 3)
    whole = np.abs(after - before).mean()
    assert whole > 20
    packets = viewer.of(Kind.VIDEO_JPEG)
    assert all(later.pts > earlier.pts for earlier, later in itertools.pairwise(packets))
    steps = [np.abs(picture(viewer, n + 1) - picture(viewer, n)).mean() for n in range(len(packets) - 1)]
    assert max(steps) < 0.4 * whole  # no cut
    viewer.heard()  # every sound, without a hole
    assert (await client.state(viewer.session))["consent"] == CONSENT


@pytest.mark.parametrize(("name", "delay"), [(None, 300), ("idle.mp4", 340)])
async def test_a_portrait_s_delay_has_no_search_for_a_face_in_it(client: Client, name: str | None, delay: int) -> None:
    session = await client.create(source="portrait", speech="stream", portrait=name)
    stream = Streamer(client, session)
    await stream.connect()
    await stream.begin(video="jpeg")
    assert (await client.state(session))["stats"]["delay_ms"] == delay
    await stream.close()


@pytest.mark.usefixtures("always_dubbed")
async def test_a_clip_of_the_server_s_folder_and_back(client: Client, viewer: Streamer) -> None:
    first = picture(viewer)
    for count, name in enumerate(("idle.mp4", None, "clerk.png"), start=1):
        status, _ = await change(client, viewer.session, json={} if name is None else {"portrait": name})
        assert status == 202
        await viewer.one("face.changed", count=count)
    await shows_on(viewer, 15)
    assert picture(viewer).shape == first.shape
    viewer.heard()


async def test_the_face_that_has_gone_is_freed(
    client: Client, server: Running, viewer: Streamer, models: FakeModels, face: bytes
) -> None:
    await change(client, viewer.session, data=form(face))
    await viewer.one("face.changed")
    gone: weakref.ref[FaceSource] = weakref.ref(server.sessions.find(viewer.session["id"]).face)  # type: ignore[arg-type]
    await change(client, viewer.session, json={"portrait": "clerk.png"})
    await viewer.one("face.changed", count=2)

    def freed() -> bool:
        gc.collect()
        return gone() is None

    await eventually(freed)
    await eventually(lambda: [stream.closed for stream in models.streams] == [True, True, False])


async def test_two_at_once_are_a_conflict(client: Client, viewer: Streamer) -> None:
    answers = await asyncio.gather(
        *(change(client, viewer.session, json={"portrait": name}) for name in ("clerk.png", "idle.mp4"))
    )
    assert sorted(status for status, _ in answers) == [202, 409]
    await viewer.one("face.changed")


async def test_before_the_first_viewer_it_is_there_from_the_beginning(client: Client, face: bytes) -> None:
    session = await client.create(source="portrait", speech="stream")
    status, _ = await change(client, session, json={"portrait": "clerk.png"})
    assert status == 202
    viewer = Streamer(client, session)
    await viewer.connect()
    await viewer.begin(video="jpeg")
    await shows_on(viewer, 1)
    own = cv2.resize(np.asarray(cv2.imdecode(np.frombuffer(face, np.uint8), cv2.IMREAD_COLOR), float), (256, 256))
    assert np.abs(picture(viewer, 0) - own)[128:].mean() < 12
    await viewer.close()


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        ({"json": {"portrait": "nobody.png"}}, 400, "known: clerk.png, idle.mp4"),
        ({"json": {"portrait": "../portrait.png"}}, 400, "known: clerk.png, idle.mp4"),
        ({"json": {"colour": 1}}, 400, "unknown field"),
        ({"data": form(b"GIF89a")}, 400, "PNG, JPEG, WebP or HEIC"),
        ({"data": form(b"x", seed=3)}, 400, "no options with it"),
    ],
)
async def test_what_is_wrong_is_said_and_the_session_goes_on(
    client: Client, viewer: Streamer, given: dict[str, Any], status: int, words: str
) -> None:
    answer, body = await change(client, viewer.session, **given)
    assert (answer, words in body["error"]["message"]) == (status, True), body
    await shows_on(viewer)


async def test_a_background_of_one_s_own_stays_behind_every_face(client: Client, face: bytes) -> None:
    blue = bytes(cv2.imencode(".png", np.full((40, 60, 3), (200, 60, 20), np.uint8))[1])
    data = form(face, speech="stream", background="image")
    data.add_field("background", io.BytesIO(blue), filename="wall.png", content_type="image/png")
    async with client.http.post(f"{client.url}/v1/sessions", data=data) as response:
        session = await response.json()
        assert response.status == 201, session
    viewer = Streamer(client, session)
    await viewer.connect()
    await viewer.begin(video="jpeg")
    await shows_on(viewer, 2)
    assert (await change(client, session, json={"portrait": "clerk.png"}))[0] == 202
    await viewer.one("face.changed")
    await shows_on(viewer, 1)
    for index in range(len(viewer.of(Kind.VIDEO_JPEG))):
        np.testing.assert_allclose(picture(viewer, index)[:40, -80:].mean(axis=(0, 1)), (200, 60, 20), atol=6)
    await viewer.close()


async def test_an_image_is_sent_where_it_is_the_background(client: Client, face: bytes) -> None:
    async with client.http.post(f"{client.url}/v1/sessions", data=form(face, background="image")) as response:
        body = await response.json()
    assert (response.status, "need both, or neither" in body["error"]["message"]) == (400, True)


async def test_a_clip_keeps_its_background(client: Client) -> None:
    asked = {"source": "portrait", "portrait": "idle.mp4", "background": "green"}
    async with client.http.post(f"{client.url}/v1/sessions", json=asked) as response:
        body = await response.json()
    assert (response.status, "a clip keeps its background" in body["error"]["message"]) == (400, True)


async def test_a_camera_s_session_has_no_face_to_change(client: Client) -> None:
    session = await client.create()
    status, body = await change(client, session, json={})
    assert (status, "need one whose source is portrait" in body["error"]["message"]) == (409, True)


async def test_consent_is_wanted_as_for_a_new_session(config: ServerConfig, models: FakeModels, face: bytes) -> None:
    strict = replace(config, require_consent=True)
    async with running(strict, lambda: models) as server, aiohttp.ClientSession() as http:
        await server.loading
        client = Client(http, server.url)
        session = await client.create(source="portrait", speech="stream")
        status, _ = await change(client, session, data=form(face))
        assert status == 403
        status, _ = await change(client, session, data=form(face, consent=CONSENT))
        assert status == 202


@pytest.mark.parametrize("background", ["green", "transparent"])
async def test_a_green_or_transparent_session_stays_so(client: Client, background: str) -> None:
    session = await client.create(source="portrait", portrait="clerk.png", speech="stream", background=background)
    viewer = Streamer(client, session)
    await viewer.connect()
    await viewer.begin(video="png")
    await viewer.until(lambda: len(viewer.of(Kind.VIDEO_PNG)) > 2)
    status, _ = await change(client, session, json={"portrait": "clerk.png"})
    assert status == 202
    await viewer.one("face.changed")
    count = len(viewer.of(Kind.VIDEO_PNG))
    await viewer.until(lambda: len(viewer.of(Kind.VIDEO_PNG)) > count)
    for packet in viewer.of(Kind.VIDEO_PNG):
        shown = cv2.imdecode(np.frombuffer(packet.payload, np.uint8), cv2.IMREAD_UNCHANGED)
        corner = shown[:20, -60:]  # behind her
        if background == "green":
            assert shown.shape[2] == 3
            np.testing.assert_allclose(corner, np.broadcast_to((0, 255, 0), corner.shape), atol=3)
        else:
            assert corner[..., 3].max() == 0
            assert shown[80:140, 200:250, 3].min() == 255
    await viewer.close()
