"""Tests each face with each voice on the page at ``/``, in a real Chromium."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from mytalk.face import FaceTracker
from mytalk.face.landmarks import LIPS
from mytalk.media import open_face
from streamer.config.server_config import ServerConfig
from streamer.http.server import Running, running
from tests.streamer.support.browser import chromium
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.page_steps import (
    CHANGE,
    ESCAPE_AT,
    IS_LOUD,
    NEEDS_CHROMIUM,
    PLAYING,
    choose,
    ended,
    start,
    white,
    write_film,
)
from tests.streamer.support.sounds import babble
from tests.streamer.support.waiting import eventually
from tests.support.films import write_wav

pytestmark = NEEDS_CHROMIUM

LOOKS = 25
"""Of 4 s each, at a mouth that may move."""

ASTRONAUT = Path(str(files("mytalk"))) / "assets" / "astronaut.png"


async def test_camera_and_microphone_come_back_dubbed(server: Running, tmp_path: Path, models: FakeModels) -> None:
    film, sound = tmp_path / "camera.mjpeg", tmp_path / "microphone.wav"
    write_film(film)
    write_wav(sound, babble(4.0))
    flags = (f"--use-file-for-fake-video-capture={film}", f"--use-file-for-fake-audio-capture={sound}")
    async with chromium(tmp_path, *flags) as page:
        await page.open(server.url)
        await choose(page, face="camera", voice="microphone")
        await start(page)
        await page.until(PLAYING)
        await page.until(white("result", 0.07, 0.1, 0.05, 0.05))
        await page.until(IS_LOUD)
        assert await page.run("document.getElementById('camera').videoWidth") > 0
        await page.screenshot(tmp_path / "camera.png")
        assert page.complaints == []
        assert models.streams[0].tracked > 10
        await page.call("Page.navigate", url="about:blank")  # the tab goes elsewhere: its session ends at once
        await ended(server)


async def test_a_microphone_goes_by_the_websocket_to_a_portrait(
    server: Running, tmp_path: Path, models: FakeModels
) -> None:
    sound = tmp_path / "microphone.wav"
    write_wav(sound, babble(4.0))
    async with chromium(tmp_path, f"--use-file-for-fake-audio-capture={sound}") as page:
        await page.open(server.url)
        await choose(page, voice="microphone")
        await start(page)
        await page.until(PLAYING)
        await page.until(IS_LOUD)
        await page.until("document.getElementById('events').textContent.includes('playback.started')")
        assert page.complaints == []
    heard = np.concatenate(models.streams[0].speech)
    assert np.abs(heard).max() > 0.1


async def test_a_file_is_spoken_interrupted_and_spoken_again_by_websocket_alone(
    server: Running, tmp_path: Path, models: FakeModels
) -> None:
    speech = tmp_path / "speech.wav"
    write_wav(speech, babble(3.0))
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await page.choose_file("#file", speech)
        await choose(page, transport="websocket")
        await page.run(ESCAPE_AT % "playback.started")
        await start(page)
        await page.until("document.getElementById('canvas').width === 256")
        await page.until(white("canvas", 0.2, 0.2, 0.1, 0.1))
        await page.until("document.getElementById('state').textContent.startsWith('Interrupted')")
        await page.until("!document.getElementById('again').disabled")
        await page.run("document.getElementById('again').click()")
        await page.until("document.getElementById('state').textContent === 'The file has been said.'")
        for figure in ("latency", "skew"):
            await page.until(f"document.getElementById('{figure}').textContent !== '–'")
        await page.screenshot(tmp_path / "websocket.png")
        assert page.complaints == []
        assert await page.run("performance.getEntriesByType('resource').every(({ name }) => !name.includes('whep'))")


async def test_a_camera_is_dubbed_with_a_file(server: Running, tmp_path: Path, models: FakeModels) -> None:
    film, speech = tmp_path / "camera.mjpeg", tmp_path / "speech.wav"
    write_film(film)
    write_wav(speech, babble(3.0))
    async with chromium(tmp_path, f"--use-file-for-fake-video-capture={film}") as page:
        await page.open(server.url)
        await page.choose_file("#file", speech)
        await choose(page, face="camera")
        await start(page)
        await page.until(PLAYING)
        await page.until(white("result", 0.07, 0.1, 0.05, 0.05))
        await page.until("document.getElementById('state').textContent === 'The file has been said.'")
        assert page.complaints == []
        assert models.streams[0].tracked > 10
        await page.run("document.getElementById('stop').click()")
        await ended(server)


async def test_an_uploaded_picture_speaks_with_consent(server: Running, tmp_path: Path) -> None:
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await page.choose_file("#picture", ASTRONAUT)
        assert not await page.run("document.getElementById('consent').hidden")
        await page.run("document.querySelector('[name=who]').value = 'Jane Doe'")
        await page.until("document.getElementById('portrait').naturalWidth === 512")
        await start(page)
        await page.until(PLAYING)
        assert await page.run("document.getElementById('result').videoWidth") == 512
        await page.until(white("result", 0.1, 0.1, 0.05, 0.05))
        [session] = server.sessions.all()
        assert session.consent is not None
        assert session.consent.who == "Jane Doe"
        assert page.complaints == []


async def test_the_page_says_that_the_server_is_full_and_starts_when_there_is_room(
    server: Running, tmp_path: Path
) -> None:
    async with aiohttp.ClientSession() as http:
        for _ in range(2):
            await (await http.post(f"{server.url}v1/sessions", json={})).read()
    full = server.sessions.all()
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await start(page)
        await page.until("document.getElementById('state').textContent.startsWith('Waiting')")
        assert "sessions are taken" in await page.run("document.getElementById('state').textContent")
        await full[0].end("the test makes room")
        await eventually(lambda: any(one not in full for one in server.sessions.all()))


@pytest.mark.slow
@pytest.mark.usefixtures("always_dubbed")
async def test_the_portraits_mouth_moves_and_the_rest_stays_with_the_real_models(tmp_path: Path) -> None:
    config = ServerConfig(port=0)
    face = FaceTracker()(next(open_face(config.portrait_path).frames(endless=True)).picture)
    assert face is not None
    x0, y0 = (int(side) for side in face.points[list(LIPS), :2].min(axis=0))
    x1, y1 = (int(side) for side in face.points[list(LIPS), :2].max(axis=0))
    async with running(config) as server:
        await server.loading
        async with chromium(tmp_path) as page:
            await page.open(server.url)
            await start(page)
            await page.until(PLAYING)
            for _ in range(LOOKS):  # on a busy machine few pictures are there in time
                mouth = await page.run(CHANGE % f"{x0}, {y0}, {x1 - x0}, {y1 - y0}")
                corner = await page.run(CHANGE % "0, 0, 100, 60")
                if mouth > 2 * corner + 0.5:
                    break
            await page.screenshot(tmp_path / "real.png")
            assert page.complaints == []
    assert mouth > 2 * corner + 0.5
