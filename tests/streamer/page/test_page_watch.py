"""Tests the page for viewers, ``/watch.html``, in a real Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.http.server import Running
from tests.streamer.support.browser import chromium
from tests.streamer.support.http_client import Client
from tests.streamer.support.page_steps import IS_LOUD, NEEDS_CHROMIUM, PLAYING, start, white

pytestmark = NEEDS_CHROMIUM

SAYS = "document.getElementById('state').textContent"


async def test_the_link_of_a_session_shows_its_sound_and_picture(server: Running, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    async with chromium(tmp_path) as page, chromium(tmp_path / "other") as other:
        await page.open(server.url)
        await start(page)
        await page.until(PLAYING)
        link = await page.run("document.getElementById('watch').href")
        await other.open(link)
        await other.until(PLAYING)
        await other.until(f"location.href !== '{link}'")  # a fresh token, which is good for longer
        assert (await other.run("location.href")).rpartition("/")[0] == link.rpartition("/")[0]
        await other.until(white("result", 0.2, 0.2, 0.1, 0.1))
        await other.until(IS_LOUD)
        assert await other.run(SAYS) == "Live."
        await other.screenshot(tmp_path / "watch.png")
        await page.run("document.getElementById('stop').click()")
        assert await page.run("document.getElementById('watch').hidden")
        assert page.complaints == []
        assert all("404" in one and "whep" in one for one in other.complaints)  # it asked whether it may watch again


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_it_waits_for_a_camera_and_fits_a_phone(
    server: Running, client: Client, tmp_path: Path, scheme: str
) -> None:
    session = await client.create(source="live", speech="stream")
    async with chromium(tmp_path) as page:
        await page.call("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=2, mobile=True)
        await page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await page.open(f"{server.url}watch.html#{session['id']}/{session['view_token']}")
        await page.until(f"{SAYS}.startsWith('Waiting')")
        assert await page.run("document.documentElement.scrollWidth") <= 360
        await page.screenshot(tmp_path / f"waiting-{scheme}.png")


async def test_an_incomplete_link_and_an_ended_session_are_reported(server: Running, tmp_path: Path) -> None:
    async with chromium(tmp_path) as page:
        await page.open(f"{server.url}watch.html")
        await page.until(f"{SAYS}.includes('not whole')")
        await page.run("location.hash = 'nobody/knows'")
        await page.until("!document.getElementById('again').hidden")
        await page.until(f"!{SAYS}.includes('not whole')")
        assert await page.run("document.getElementById('state').classList.contains('bad')")
