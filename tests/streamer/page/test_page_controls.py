"""Tests the controls of the page at ``/``, in a real Chromium."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from streamer.config.server_config import ServerConfig
from streamer.http.server import Running, running
from tests.streamer.support.api_keys import Keys
from tests.streamer.support.browser import chromium
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.page_steps import NEEDS_CHROMIUM, PLAYING, click, start
from tests.streamer.support.waiting import eventually

pytestmark = NEEDS_CHROMIUM


async def test_sliders_change_the_session_that_is_live(server: Running, tmp_path: Path) -> None:
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await start(page)
        await page.until(PLAYING)
        await page.run("document.querySelector('[name=mouth_opening]').focus()")
        for _ in range(4):
            await page.press("ArrowRight")
        [session] = server.sessions.all()
        await eventually(lambda: session.controls["mouth_opening"] == 1.2)
        shown = "document.querySelector('[name=mouth_opening] + output').textContent"
        assert await page.run(shown) == "1.2"
        await page.run("document.querySelector('[name=emotion]').focus()")
        await page.press("ArrowDown")
        await eventually(lambda: session.controls["emotion"] == "happy")
        await page.until("document.querySelector('#effect img').naturalWidth > 0")
        assert "happy" in await page.run("document.querySelector('#effect figcaption').textContent")
        assert page.complaints == []


async def test_the_page_says_why_a_face_cannot_be_dubbed(server: Running, tmp_path: Path, models: FakeModels) -> None:
    says = "document.getElementById('state').textContent"
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await start(page)
        await page.until(PLAYING)
        models.streams[0].face_status = "turned"
        await page.until(f"{says}.includes('turned too far')")
        assert await page.run("document.getElementById('state').classList.contains('bad')")
        await page.screenshot(tmp_path / "turned.png")
        models.streams[0].face_status = "seen"
        await page.until(f"{says} === 'Live.'")
        assert page.complaints == []


async def test_controls_moved_while_connecting_hold_once_it_is_connected(
    config: ServerConfig, models: FakeModels, tmp_path: Path
) -> None:
    may_load = threading.Event()

    def load() -> FakeModels:
        may_load.wait(60)
        return models

    async with running(config, load) as server, chromium(tmp_path) as page:
        try:
            await page.open(server.url)
            await start(page)
            await page.until("document.getElementById('state').textContent.startsWith('Waiting')")
            await page.run("document.querySelector('[name=mouth_opening]').focus()")
            for _ in range(4):
                await page.press("ArrowRight")
            await page.run("document.querySelector('[name=on_silence]').focus()")
            await page.press("ArrowDown")
            await click(page, 0.25, 0.75)
            assert server.sessions.all() == []
        finally:
            may_load.set()
        await page.until(PLAYING)
        [session] = server.sessions.all()
        await eventually(lambda: session.controls["mouth_opening"] == 1.2)
        assert session.controls["on_silence"] == "passthrough"
        assert tuple(map(float, session.controls["face"].split(","))) == pytest.approx((0.25, 0.75), abs=0.02)
        await page.until("document.querySelector('[name=mouth_opening] + output').textContent === '1.2'")
        assert not await page.run("document.getElementById('mark').hidden")
        assert all("503" in complaint for complaint in page.complaints)  # it asked while there were no models


async def test_a_click_on_the_source_or_keys_pick_the_face_that_speaks(
    server: Running, tmp_path: Path, models: FakeModels
) -> None:
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await click(page, 0.25, 0.75)  # chosen before it begins: the session is made with it
        await start(page)
        await page.until(PLAYING)
        [session] = server.sessions.all()
        assert session.options.face == pytest.approx((0.25, 0.75), abs=0.02)
        await click(page, 0.8, 0.4)
        await eventually(lambda: models.streams[0].controls.face == pytest.approx((0.8, 0.4), abs=0.02))
        await page.run("document.getElementById('across').focus()")
        await page.press("ArrowLeft")
        await eventually(lambda: models.streams[0].controls.face == pytest.approx((0.79, 0.4), abs=0.02))
        assert await page.run("document.querySelector('#across + output').textContent") == "79 %"
        assert await page.run("document.getElementById('mark').style.left") == "79%"
        await page.screenshot(tmp_path / "face.png")
        await page.run("document.getElementById('largest').focus()")
        await page.press("Enter")
        await eventually(lambda: models.streams[0].controls.face == "largest")
        assert await page.run("document.getElementById('mark').hidden")
        assert await page.run("document.getElementById('largest').getAttribute('aria-pressed')") == "true"
        assert page.complaints == []


async def test_an_operators_own_portrait_is_shown_to_a_key(config: ServerConfig, tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys.json")
    key = keys.add("publish")
    async with running(replace(config, keys=keys.path), FakeModels) as server, chromium(tmp_path) as page:
        await server.loading
        await page.open(server.url)
        await page.until("document.getElementById('portrait').complete")
        assert await page.run("document.getElementById('portrait').naturalWidth") == 0
        await page.run(f"document.getElementById('key').value = '{key}'")
        await page.run("document.getElementById('key').dispatchEvent(new Event('change'))")
        await page.until("document.getElementById('portrait').naturalWidth === 256")
        assert all("401" in complaint for complaint in page.complaints)  # before there was a key


async def test_a_click_beside_the_picture_picks_no_face(server: Running, tmp_path: Path) -> None:
    wide = tmp_path / "wide.png"
    with av.open(wide, "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 400, 200, "rgb24"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((200, 400, 3), 90, np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await page.choose_file("#picture", wide)
        await page.until("document.getElementById('portrait').naturalWidth === 400")
        await page.until("document.getElementById('area').clientHeight < document.getElementById('area').clientWidth")
        await click(page, 0.5, -0.2)  # the bar above the picture
        assert await page.run("document.getElementById('mark').hidden")
        await click(page, 0.5, 0.9)
        assert not await page.run("document.getElementById('mark').hidden")
        assert await page.run("document.querySelector('#down + output').textContent") in ("89 %", "90 %", "91 %")
        assert page.complaints == []


async def test_the_picture_in_silence_can_be_changed_live(server: Running, tmp_path: Path, models: FakeModels) -> None:
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await start(page)
        await page.until(PLAYING)
        assert models.streams[0].controls.on_silence == "close"
        await page.run("document.querySelector('[name=on_silence]').focus()")
        await page.press("ArrowDown")
        await eventually(lambda: models.streams[0].controls.on_silence == "passthrough")
        assert page.complaints == []
