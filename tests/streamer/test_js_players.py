"""The TypeScript client's players, as the page has them, in a real Chromium."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import av
import numpy as np
import pytest
from browser import CHROMIUM, Page, chromium
from fakes import babble, numbered

from streamer.server import Running

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
    assert await page.run("player.waitMs") > 0
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


# Fragments go to the player as a server that has them would send them, ten a second.
FEED = """(async (parts) => {
  const { MediaSourcePlayer } = await import('/mytalk-client.js');
  window.failures = [];
  let push;
  const stream = { on: (_, listener) => { push = listener; return () => undefined; } };
  const video = document.getElementById('result');
  window.player = new MediaSourcePlayer(video, stream, (error) => failures.push(String(error)));
  for (const [index, part] of parts.entries()) {
    const data = Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0));
    push({ type: 'media', kind: 'fmp4', generation: 0, pts: 0, data, keyframe: true, init: index === 0 });
    if (index > 0) await new Promise((resolve) => setTimeout(resolve, 200));
  }
})(%s)"""


async def test_fragmented_mp4_plays_by_media_source(server: Running, tmp_path: Path) -> None:
    async with chromium(tmp_path) as page:
        await page.open(server.url)
        if not await page.run("import('/mytalk-client.js').then(({ playsFmp4 }) => playsFmp4())"):
            pytest.skip("this Chromium plays no fragmented MP4")
        parts = [base64.b64encode(part).decode() for part in fragments(seconds=4)]
        assert len(parts) > 8
        await page.run(FEED % parts)
        await page.until("document.getElementById('result').currentTime > 2")
        assert await page.run("document.getElementById('result').videoWidth") == 256
        behind = "(({ buffered, currentTime }) => buffered.end(0) - currentTime)(document.getElementById('result'))"
        assert await page.run(behind) < 2
        assert await page.run("failures") == []
        await page.run("player.close()")
        assert page.complaints == []


def fragments(seconds: int) -> list[bytes]:
    """An MP4 of H264 and AAC in parts: what a decoder needs first, then a fragment for every 400 ms."""
    file = io.BytesIO()
    options = {"movflags": "empty_moov+default_base_moof+frag_keyframe"}
    with av.open(file, "w", format="mp4", options=options) as container:
        video = container.add_stream("libx264", rate=25, options={"profile": "baseline", "g": "10", "bf": "0"})
        video.width = video.height = 256
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=48_000, layout="mono")
        sound = babble(seconds)
        for index in range(25 * seconds):
            picture = av.VideoFrame.from_ndarray(numbered(index), format="rgb24")
            container.mux(video.encode(picture))
            part = sound[index * 1920 : (index + 1) * 1920].astype(np.float32)[None] / 32768
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48_000, index * 1920
            container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    parts: list[bytes] = []
    at, data = 0, file.getvalue()
    while at < len(data):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if name in (b"ftyp", b"moof"):
            parts.append(b"")
        if name != b"mfra":
            parts[-1] += data[at : at + size]
        at += size
    return parts
