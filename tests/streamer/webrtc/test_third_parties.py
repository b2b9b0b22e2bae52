"""Other people's WebRTC with our WHIP and WHEP: FFmpeg publishes, Chromium watches and restarts ICE, and two stacks in
Node do both: werift, and libdatachannel, which is OBS's own.

Those two are not part of the project: their tests run after ``npm install --prefix FOLDER werift node-datachannel``
with MYTALK_NODE=FOLDER.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from streamer.config.server_config import ServerConfig
from streamer.http.server import Running
from tests.streamer import support
from tests.streamer.support.browser import CHROMIUM, Page, chromium
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client
from tests.streamer.support.peers import Viewer
from tests.streamer.support.waiting import LIMIT_S, eventually
from tests.streamer.support.whip_clients import loud, numbers_seen, published, watch

FFMPEG = pytest.mark.skipif("whip" not in av.formats_available, reason="this FFmpeg has no WHIP muxer")
NODE = os.environ.get("MYTALK_NODE", "")
BROWSER = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (install the package chromium)")


@pytest.fixture
def config(config: ServerConfig) -> ServerConfig:
    """The players are pages of another origin, which a server without keys takes where it is told to."""
    return replace(config, allow_origins=("*",))


@asynccontextmanager
async def ffmpeg(
    client: Client, session: dict[str, Any], seconds: float, profile: str = "baseline"
) -> AsyncIterator[asyncio.subprocess.Process]:
    """FFmpeg publishing H264 of that profile into a session."""
    script = Path(str(support.__file__)).with_name("ffmpeg_publisher.py")
    url = client.url + session["urls"]["whip"]
    path = str(script.parents[3])
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), url, session["token"], str(seconds), profile, env={"PYTHONPATH": path}
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@FFMPEG
async def test_ffmpegs_whip_muxer_publishes_h264_and_opus(client: Client, server: Running, models: FakeModels) -> None:
    session = await client.create()
    async with ffmpeg(client, session, seconds=20) as process:
        [ours] = server.sessions.all()
        await eventually(lambda: ours.state == "live")
        viewer = await watch(client, session)
        await viewer.until(sounds=40)
        numbers = await numbers_seen(viewer, different=10)
        assert numbers == sorted(numbers)
        await loud(viewer)
        assert await asyncio.wait_for(process.wait(), LIMIT_S) == 0  # it ended its stream, and was told 200
        await eventually(lambda: ours.connections.publisher is None)
        await viewer.close()
    assert models.streams[0].tracked > 30


@FFMPEG
@pytest.mark.parametrize("profile", ["main", "high"])
async def test_ffmpegs_pictures_of_other_profiles_are_shown(client: Client, server: Running, profile: str) -> None:
    session = await client.create()
    async with ffmpeg(client, session, 120, profile):
        await eventually(lambda: server.sessions.all()[0].state == "live")
        viewer = await watch(client, session)
        numbers = await numbers_seen(viewer, different=5)
        assert numbers == sorted(numbers)
        await viewer.close()


@pytest.mark.skipif(not NODE or shutil.which("node") is None, reason="MYTALK_NODE names no folder with the stacks")
@pytest.mark.parametrize("codec", ["vp8", "h264"])
@pytest.mark.parametrize("stack", ["werift", "libdatachannel"])
async def test_a_stack_in_node_watches_one_session_and_publishes_into_another(
    client: Client, server: Running, stack: str, codec: str
) -> None:
    async with published(client) as (first, _):
        second = await client.create()
        addresses = (client.url + first["urls"]["whep"], first["view_token"])
        addresses += (client.url + second["urls"]["whip"], second["token"])
        script = str(Path(str(support.__file__)).with_name(f"{stack}_relay.mjs"))
        node = await asyncio.create_subprocess_exec(
            "node", script, NODE, *addresses, codec, "40", stdout=asyncio.subprocess.PIPE
        )
        try:
            ours = server.sessions.find(second["id"])
            await eventually(lambda: ours.state == "live")
            viewer = await watch(client, second)
            await viewer.until(sounds=20)
            numbers = await numbers_seen(viewer, different=5)
            assert numbers == sorted(numbers)
            printed, _ = await asyncio.wait_for(node.communicate(), LIMIT_S)
            await viewer.close()
        finally:
            if node.returncode is None:
                node.kill()
                await node.communicate()
        seen = json.loads(printed)
        assert seen["statuses"] == [201, 201, 200, 200]
        assert min(seen["audio"], seen["video"]) > 100


# A player as a page of another origin writes it: RTCPeerConnection and fetch.
PLAYER = """
window.play = async (url, token, withData) => {
  const pc = window.pc = new RTCPeerConnection();
  const media = new MediaStream();
  if (withData) window.channel = pc.createDataChannel('chat');
  for (const kind of ['audio', 'video']) pc.addTransceiver(kind, { direction: 'recvonly' });
  pc.ontrack = ({ track }) => media.addTrack(track);
  await pc.setLocalDescription();
  const headers = { 'Content-Type': 'application/sdp', Authorization: `Bearer ${token}` };
  const began = performance.now();
  const response = await fetch(url, { method: 'POST', headers, body: pc.localDescription.sdp });
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
  window.resource = new URL(response.headers.get('Location'), url).href;
  window.etag = response.headers.get('ETag');
  window.answer = await response.text();
  await pc.setRemoteDescription({ type: 'answer', sdp: window.answer });
  const video = window.video = document.createElement('video');
  video.id = 'state';
  video.autoplay = true; video.srcObject = media;
  video.requestVideoFrameCallback(() => { window.joined = performance.now() - began; });
  document.body.append(video);
};
window.publish = async (url, token) => {
  const pc = window.up = new RTCPeerConnection();
  const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240 } });
  for (const track of media.getTracks()) pc.addTransceiver(track, { direction: 'sendonly', streams: [media] });
  const mine = [];
  pc.onicecandidate = ({ candidate }) => mine.push(candidate ? `a=${candidate.candidate}` : 'a=end-of-candidates');
  await pc.setLocalDescription();
  const headers = { 'Content-Type': 'application/sdp', Authorization: `Bearer ${token}` };
  const response = await fetch(url, { method: 'POST', headers, body: pc.localDescription.sdp });
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
  const resource = new URL(response.headers.get('Location'), url).href;
  const sent = { ...headers, 'Content-Type': 'application/trickle-ice-sdpfrag',
                            'If-Match': response.headers.get('ETag') };
  await pc.setRemoteDescription({ type: 'answer', sdp: await response.text() });
  while (!mine.includes('a=end-of-candidates')) await new Promise((done) => setTimeout(done, 20));
  const body = ['m=audio 9 UDP/TLS/RTP/SAVPF 0', 'a=mid:0', ...mine, ''].join('\\r\\n');
  return (await fetch(resource, { method: 'PATCH', headers: sent, body })).status;
};
window.restart = async (token) => {
  const offer = await pc.createOffer({ iceRestart: true });
  await pc.setLocalDescription(offer);
  while (pc.iceGatheringState !== 'complete') await new Promise((done) => setTimeout(done, 20));
  const wanted = /^(a=ice-ufrag:|a=ice-pwd:|a=candidate:|m=|a=mid:)/;
  const body = pc.localDescription.sdp.split('\\r\\n').filter((line) => wanted.test(line)).join('\\r\\n') + '\\r\\n';
  const kind = 'application/trickle-ice-sdpfrag';
  const headers = { 'Content-Type': kind, 'If-Match': '*', Authorization: `Bearer ${token}` };
  const response = await fetch(resource, { method: 'PATCH', headers, body });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  const text = await response.text();
  const line = (name) => text.match(new RegExp(`a=${name}:\\\\S+`))[0];
  const sdp = answer.replace(/a=ice-ufrag:\\S+/g, line('ice-ufrag')).replace(/a=ice-pwd:\\S+/g, line('ice-pwd'));
  await pc.setRemoteDescription({ type: 'answer', sdp });
  return [etag, response.headers.get('ETag')];
};
window.stats = async () => {
  const all = [...(await pc.getStats()).values()];
  const video = all.find((one) => one.type === 'inbound-rtp' && one.kind === 'video') || {};
  const audio = all.find((one) => one.type === 'inbound-rtp' && one.kind === 'audio') || {};
  const codec = all.find((one) => one.id === video.codecId) || {};
  return { frames: video.framesDecoded || 0, codec: codec.mimeType, energy: audio.totalAudioEnergy || 0,
           lost: video.packetsLost, pli: video.pliCount };
};
"""

BRIGHTNESS = """(() => {
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth; canvas.height = video.videoHeight;
  const brush = canvas.getContext('2d');
  brush.drawImage(video, 0, 0);
  const data = brush.getImageData(48, 48, 32, 32).data;
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum += data[i + 1];
  return sum / (data.length / 4);
})()"""


@asynccontextmanager
async def page_of_another_origin(folder: Path) -> AsyncIterator[Page]:
    """A tab whose page is a file: its origin is none, and every request to the server is cross-origin."""
    (folder / "player.html").write_text(f"<!doctype html><body id='state'><script>{PLAYER}</script>")
    async with chromium(folder) as page:
        await page.open((folder / "player.html").as_uri())
        yield page


async def play(page: Page, client: Client, session: dict[str, Any], *, with_data: bool = False) -> None:
    arguments = f"'{client.url}{session['urls']['whep']}', '{session['view_token']}', {str(with_data).lower()}"
    await page.run(f"play({arguments})")
    await page.until("stats().then((seen) => seen.frames > 20 && seen.energy > 0)", seconds=40)


@BROWSER
@pytest.mark.browser
async def test_chromium_plays_our_whep_from_another_origin(client: Client, server: Running, tmp_path: Path) -> None:
    async with published(client) as (session, _), page_of_another_origin(tmp_path) as page:
        await play(page, client, session)
        assert await page.run("video.videoWidth") == 256
        await page.until(f"{BRIGHTNESS} > 220")  # the fake models' white mouth
        await page.screenshot(tmp_path / "whep.png")
        [ours] = server.sessions.all()
        [viewer] = ours.connections.viewers.values()
        assert (await page.run("stats()"))["codec"].lower() == f"video/{viewer.codec}"
        left = "fetch(resource, { method: 'DELETE', headers: { Authorization: 'Bearer %s' } }).then((r) => r.status)"
        assert await page.run(left % session["view_token"]) == 200
        assert not ours.connections.viewers
        assert page.complaints == []


@BROWSER
@pytest.mark.browser
async def test_chromium_plays_though_its_data_channel_is_refused(
    client: Client, server: Running, tmp_path: Path
) -> None:
    async with published(client) as (session, _), page_of_another_origin(tmp_path) as page:
        await play(page, client, session, with_data=True)
        assert "m=application 0 UDP/DTLS/SCTP webrtc-datachannel" in await page.run("answer")
        assert await page.run("channel.readyState") in ("connecting", "closed")
        assert await page.run("pc.sctp") is None
        assert page.complaints == []


@BROWSER
@pytest.mark.browser
async def test_chromium_restarts_ice_and_goes_on_playing(client: Client, tmp_path: Path) -> None:
    async with published(client) as (session, _), page_of_another_origin(tmp_path) as page:
        await play(page, client, session)
        before, after = await page.run(f"restart('{session['view_token']}')")
        assert before != after
        frames = (await page.run("stats()"))["frames"]
        await page.until(f"stats().then((seen) => seen.frames > {frames} + 50)", seconds=40)
        assert await page.run("pc.iceConnectionState") in ("connected", "completed")
        assert page.complaints == []


@BROWSER
@pytest.mark.browser
async def test_chromium_gets_h264_where_that_is_what_is_encoded(client: Client, tmp_path: Path) -> None:
    async with published(client) as (session, _), page_of_another_origin(tmp_path) as page:
        first: Viewer = await watch(client, session, "h264", sound=False)
        await first.until(pictures=5)
        await play(page, client, session)
        assert (await page.run("stats()"))["codec"] == "video/H264"
        await page.until(f"{BRIGHTNESS} > 220")
        await first.close()
        assert page.complaints == []


@BROWSER
@pytest.mark.browser
async def test_chromium_publishes_by_whip_and_trickles(client: Client, models: FakeModels, tmp_path: Path) -> None:
    session = await client.create()
    async with page_of_another_origin(tmp_path) as page:
        url = client.url + session["urls"]["whip"]
        assert await page.run(f"publish('{url}', '{session['token']}')") == 204
        viewer = await watch(client, session)
        await viewer.until(pictures=20, sounds=50)
        await eventually(lambda: models.streams[0].tracked > 20)
        assert viewer.pictures[-1][1].width == 320
        assert page.complaints == []
        await viewer.close()


LAYERED = """
window.publishLayers = async (url, token) => {
  const pc = window.up = new RTCPeerConnection();
  const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 480 } });
  const [audio, video] = [media.getAudioTracks()[0], media.getVideoTracks()[0]];
  pc.addTransceiver(audio, { direction: 'sendonly' });
  const sendEncodings = [4, 2, 1].map((by, at) => ({ rid: 'qhf'[at], scaleResolutionDownBy: by }));
  pc.addTransceiver(video, { direction: 'sendonly', sendEncodings });
  await pc.setLocalDescription();
  while (pc.iceGatheringState !== 'complete') await new Promise((done) => setTimeout(done, 20));
  const headers = { 'Content-Type': 'application/sdp', Authorization: `Bearer ${token}` };
  const response = await fetch(url, { method: 'POST', headers, body: pc.localDescription.sdp });
  if (response.status !== 201) throw new Error(`${response.status} ${await response.text()}`);
  await pc.setRemoteDescription({ type: 'answer', sdp: await response.text() });
};
"""


@BROWSER
@pytest.mark.browser
async def test_one_of_chromiums_layers_is_shown(client: Client, server: Running, tmp_path: Path) -> None:
    session = await client.create()
    async with page_of_another_origin(tmp_path) as page:
        await page.run(f"(() => {{ {LAYERED} }})()")
        await page.run(f"publishLayers('{client.url}{session['urls']['whip']}', '{session['token']}')")
        assert "a=simulcast:recv q;h;f" in await page.run("up.remoteDescription.sdp")
        await eventually(lambda: server.sessions.all()[0].state == "live")
        viewer = await watch(client, session)
        await viewer.until(pictures=40)
        await viewer.close()
        assert page.complaints == []
