"""Tests how the TypeScript client recovers lost WebRTC connections, in a real Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.clock import SECOND_NS
from streamer.http.server import Running
from tests.streamer.support.aiortc_peer import Address, cuttable
from tests.streamer.support.browser import Page, chromium
from tests.streamer.support.page_steps import NEEDS_CHROMIUM, white, write_film

pytestmark = NEEDS_CHROMIUM

# A video that watches by WHEP.
WATCH = """(async () => {
  const { Client } = await import('/mytalk-client.js');
  const session = await new Client(location.href).create({ source: 'portrait', speech: 'demo' });
  const element = document.getElementById('result');
  window.states = [];
  window.attempts = [];
  window.causes = [];
  const peer = await session.watch({ element });
  peer.on('connection', (state) => states.push(state));
  peer.on('reconnecting', ({ attempt, of, cause }) => attempts.push(`${attempt} of ${of}: ${cause.name}`));
  peer.on('reconnecting', ({ cause }) => causes.push(cause.message));
  window.peer = peer;
})()"""


# A camera that is published by WHIP, with speech from elsewhere.
PUBLISH = """(async () => {
  const { Client } = await import('/mytalk-client.js');
  const session = await new Client(location.href).create({ source: 'live', speech: 'stream' });
  window.states = [];
  const peer = await session.publish(await navigator.mediaDevices.getUserMedia({ video: true }));
  peer.on('connection', (state) => states.push(state));
  window.peer = peer;
  await session.watch({ element: document.getElementById('result') });
})()"""

RECONNECTED = "states.join() === 'restarting,reconnecting,open'"


async def test_watching_plays_an_element_without_autoplay(server: Running, tmp_path: Path) -> None:
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await page.run("document.getElementById('result').autoplay = false")
        await page.run(WATCH)
        await page.until("document.getElementById('result').currentTime > 1")
        assert not await page.run("document.getElementById('result').paused")
        await page.run("peer.close()")
        assert page.complaints == []


@pytest.mark.slow
async def test_a_viewer_restarts_ice_when_its_addresses_are_cut(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[Address] = set()
    cut: set[Address] = set()
    cuttable(monkeypatch, seen, cut)
    monkeypatch.setattr("streamer.webrtc.liveness.SILENCE", 60 * SECOND_NS)  # Chromium takes 8 s to miss it, and we 5 s
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await page.run(WATCH)
        await page.until("document.getElementById('result').currentTime > 1")
        cut |= seen  # nothing comes or goes by the addresses that the browser had until now
        await page.until("states.join() === 'restarting,open'")
        before = await page.run("document.getElementById('result').currentTime")
        await page.until(f"document.getElementById('result').currentTime > {before + 2}")
        assert cut < seen
        await page.run("peer.close()")
        assert page.complaints == []


@pytest.mark.slow
async def test_a_viewer_that_the_server_has_forgotten_reconnects(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[Address] = set()
    cut: set[Address] = set()
    cuttable(monkeypatch, seen, cut)
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await page.run(WATCH)
        await page.until("document.getElementById('result').currentTime > 1")
        cut |= seen  # the server gives it up after 4 s, and Chromium misses it after 8
        await page.until(RECONNECTED)
        assert await page.run("attempts") == ["1 of 6: GoneError"]
        await plays_on(page)
        await page.until(white("result", 0.2, 0.2, 0.1, 0.1))  # the fake models' mouth
        await page.run("peer.close()")
        assert all("404" in complaint for complaint in page.complaints)


@pytest.mark.slow
async def test_a_viewer_that_the_server_drops_reconnects(server: Running, tmp_path: Path) -> None:
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        await page.run(WATCH)
        await page.until("document.getElementById('result').currentTime > 1")
        [session] = server.sessions.all()
        [viewer] = session.connections.viewers.values()
        await session.drop(viewer)
        await page.until("states.at(-1) === 'open'")
        assert "reconnecting" in await page.run("states")
        await plays_on(page)
        assert list(session.connections.viewers.values()) != [viewer]
        await session.end("the test is over")
        await page.until("states.at(-1) === 'closed'")
        assert await page.run("causes") == ["the server closed the connection"] * 2  # told by DTLS, not missed
        assert "no such session" in await page.run("peer.closed.then((error) => error.message)")


@pytest.mark.slow
async def test_a_camera_that_the_server_has_forgotten_is_published_again(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = tmp_path / "camera.mjpeg"
    write_film(film)
    async with chromium(tmp_path, f"--use-file-for-fake-video-capture={film}") as page:
        await page.open(server.url)
        await page.run(PUBLISH)
        await page.until("document.getElementById('result').currentTime > 1")
        [session] = server.sessions.all()
        publisher = session.connections.publisher
        assert publisher is not None
        await session.drop(publisher)
        await page.until("states.at(-1) === 'open'")
        await plays_on(page)
        assert session.connections.publisher is not None
        assert session.connections.publisher is not publisher
        await page.run("peer.close()")


async def plays_on(page: Page) -> None:
    before = await page.run("document.getElementById('result').currentTime")
    await page.until(f"document.getElementById('result').currentTime > {before + 2}")
