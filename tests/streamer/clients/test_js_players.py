"""Tests the TypeScript client's players in a real Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamer.http.server import Running
from tests.streamer.support.browser import CHROMIUM, Page, chromium

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (install the package chromium)"),
]

# A canvas that plays a portrait's stream, which says a second of sound.
PLAY = """(async (video) => {
  const { CanvasPlayer, Client } = await import('/mytalk-client.js');
  const session = await new Client(location.href).create({ source: 'portrait', speech: 'stream' });
  const speech = { encoding: 'pcm16', rate: 48000 };
  const stream = await session.open({ speech, output: { audio: 'pcm16', video } });
  const canvas = document.getElementById('canvas');
  canvas.hidden = false;
  window.failures = [];
  window.player = new CanvasPlayer(canvas, stream, (error) => failures.push(String(error)));
  await player.sound.start();
  await stream.say(Float32Array.from({ length: 48000 }, (_, i) => 0.5 * Math.sin(i / 20)));
  await stream.commit();
})('%s')"""

MOUTH = """(() => {
  const data = canvas.getContext('2d').getImageData(48, 48, 32, 32).data;
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum += data[i + 1];
  return sum / (data.length / 4);
})()"""


async def plays(page: Page, server: Running, video: str) -> None:
    await page.open(server.url)
    await page.run(PLAY % video)
    await page.until("player.drawn > 40")
    await page.until(f"{MOUTH} > 220")  # the fake models' white mouth
    await page.until("Math.abs(player.skewMs) < 80")
    await page.until("player.waitMs > 0")
    assert await page.run("failures") == []
    assert page.complaints == []


async def test_jpegs_are_drawn_when_their_sound_is_heard(server: Running, tmp_path: Path) -> None:
    async with chromium(tmp_path) as page:
        await plays(page, server, "jpeg")


async def test_h264_is_decoded_by_the_browser_itself(server: Running, tmp_path: Path) -> None:
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        if not await page.run("import('/mytalk-client.js').then(({ decodesH264 }) => decodesH264())"):
            pytest.skip("this Chromium decodes no H264")
        await plays(page, server, "h264")


# A video that plays a portrait's fragmented MP4, as the server makes it.
FMP4 = """(async () => {
  const { Client, MediaSourcePlayer } = await import('/mytalk-client.js');
  const session = await new Client(location.href).create({ source: 'portrait', speech: 'stream' });
  const speech = { encoding: 'pcm16', rate: 48000 };
  const stream = await session.open({ speech });
  window.failures = [];
  const video = document.getElementById('result');
  window.player = new MediaSourcePlayer(video, stream, (error) => failures.push(String(error)));
  await stream.say(Float32Array.from({ length: 48000 }, (_, i) => 0.5 * Math.sin(i / 20)));
  const { utterance } = await stream.commit();
  await stream.finished(utterance); // the session is a second older than what it is asked for
  await stream.update({ output: { video: 'fmp4' } });
})()"""

SEEN = """(() => {
  const brush = new OffscreenCanvas(256, 256).getContext('2d');
  brush.drawImage(document.getElementById('result'), 0, 0);
  const data = brush.getImageData(48, 48, 32, 32).data;
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum += data[i + 1];
  return sum / (data.length / 4);
})()"""


async def test_fragmented_mp4_plays_by_media_source(server: Running, tmp_path: Path) -> None:
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        if not await page.run("import('/mytalk-client.js').then(({ playsFmp4 }) => playsFmp4())"):
            pytest.skip("this Chromium plays no fragmented MP4")
        await page.run(FMP4)
        await page.until("document.getElementById('result').currentTime > 3")
        assert await page.run("document.getElementById('result').videoWidth") == 256
        await page.until(f"{SEEN} > 220")  # the fake models' white mouth
        await page.until("player.waitMs < 1500")
        assert await page.run("failures") == []
        await page.run("player.close()")
        assert page.complaints == []
