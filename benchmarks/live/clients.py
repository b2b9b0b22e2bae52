"""Measures what many viewers of one session cost, how soon each sees a picture, and what a WebSocket client waits
for.

    python -m benchmarks.live.clients [--viewers 50] [--joins 20] [--seconds 20] [--codec vp8] [--size 512]
                                 [--times 30] [--cuts 5] [--json FILE]

A camera and a microphone publish by WHIP to ``mytalk serve`` (a process of its own); viewers watch by WHEP, on
loopback. First one viewer alone, then all of them: the difference is what forwarding costs. These viewers decrypt and
count packets, report on them as others do, and decode nothing. Then ``--joins`` viewers come one after another beside
them, and decode: from the POST of the offer to the first decoded picture, ICE and DTLS included. Publisher and viewers
run on the same cores: their work is not in the server's figures, but it is in its way.

``collections_over_20_ms`` are the collections of garbage that held the server's event loop for longer, from the first
viewer until all have gone at once.

Before them, alone: what ``websocket.py`` measures, at the balanced profile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.rtp import RtpPacket

from benchmarks.live.aiortc_peer import on_packets
from benchmarks.live.live_peers import (
    ASSETS,
    Camera,
    Microphone,
    Session,
    film_of,
    peak_megabytes,
    processor_seconds,
    serving,
    table,
)
from benchmarks.live.websocket import converse
from streamer.media.looped_speech import LoopedSpeech
from streamer.webrtc.aiortc_internals.receiver import InboundTrack

SETTLE = 3.0  # seconds left out of every figure
WAIT = 30.0  # seconds for a picture, at most


class Publisher:
    """Publishes camera and microphone by WHIP."""

    def __init__(self, camera: Camera, microphone: Microphone) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        for track in (camera, microphone):
            self.connection.addTransceiver(track, direction="sendonly")

    async def connect(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        await offer(self.connection, http, url, token)


class Watcher:
    """Watches by WHEP: counts packets, or decodes pictures."""

    def __init__(self, codec: str, *, decodes: bool) -> None:
        self.packets = 0
        self.first_picture: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTransceiver("audio", direction="recvonly")
        video = self.connection.addTransceiver("video", direction="recvonly")
        known = RTCRtpSender.getCapabilities("video").codecs
        video.setCodecPreferences([one for one in known if one.name.lower() in (codec, "rtx")])
        self._reader: asyncio.Task[None] | None = None
        if decodes:
            self.connection.on("track", self._on_track)

    async def connect(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        await offer(self.connection, http, url, token)

    def count(self) -> None:
        """Has packets counted and reported on, and does nothing else with them."""

        def counted(kind: str, packet: RtpPacket) -> None:
            self.packets += 1

        on_packets(self.connection, counted)

    def _on_track(self, track: MediaStreamTrack) -> None:
        receiver = next(one.receiver for one in self.connection.getTransceivers() if one.receiver.track is track)
        inbound = InboundTrack(receiver)
        if track.kind == "video":
            self._reader = asyncio.create_task(self._read(inbound))

    async def _read(self, inbound: InboundTrack) -> None:
        while await inbound.receive() is not None:
            if not self.first_picture.done():
                self.first_picture.set_result(time.monotonic())

    async def close(self) -> None:
        await self.connection.close()
        if self._reader is not None:
            await self._reader


async def offer(connection: RTCPeerConnection, http: aiohttp.ClientSession, url: str, token: str) -> None:
    """Posts an offer and takes the answer. Raises ``SystemExit`` with the server's reason."""
    await connection.setLocalDescription(await connection.createOffer())
    headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {token}"}
    async with http.post(url, data=connection.localDescription.sdp, headers=headers) as response:
        text = await response.text()
        if response.status != 201:
            raise SystemExit(f"{url}: {response.status} {text}")
    await connection.setRemoteDescription(RTCSessionDescription(sdp=text, type="answer"))


def loop_seconds(pid: int) -> float:
    """Reads processor time of the server's event loop: its main thread. The models and the encoders have others."""
    fields = Path(f"/proc/{pid}/task/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


SENT = "mytalk_viewer_packets_total"  # packets that the server has sent to viewers
COLLECTIONS = 'mytalk_loop_stalls_total{place="garbage collection"}'  # that held its event loop for more than 20 ms


async def metric(http: aiohttp.ClientSession, url: str, name: str) -> int:
    """Reads one figure of the server's; 0 where it has none of that name."""
    async with http.get(f"{url}metrics") as response:
        lines = (await response.text()).splitlines()
    return int(float(next((line.split()[-1] for line in lines if line.startswith(f"{name} ")), "0")))


async def watch(
    http: aiohttp.ClientSession, url: str, pid: int, watchers: list[Watcher], seconds: float
) -> dict[str, Any]:
    """Measures what so many viewers cost for so long."""
    await asyncio.sleep(SETTLE)
    began, cpu, loop, own = time.monotonic(), processor_seconds(pid), loop_seconds(pid), time.process_time()
    before, received = await metric(http, url, SENT), sum(watcher.packets for watcher in watchers)
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    forwarded, counted = await metric(http, url, SENT) - before, sum(watcher.packets for watcher in watchers) - received
    return {
        "viewers": len(watchers),
        "watching": sum(watcher.connection.connectionState == "connected" for watcher in watchers),
        "packets_a_second": forwarded / took,
        "arrived_share": counted / max(1, forwarded),
        "server_cpu_cores": (processor_seconds(pid) - cpu) / took,
        "loop_cpu_cores": (loop_seconds(pid) - loop) / took,
        "peers_cpu_cores": (time.process_time() - own) / took,
    }


async def measure(url: str, pid: int, options: argparse.Namespace) -> dict[str, Any]:
    """Runs the whole measurement."""
    camera = Camera(film_of(options.clip, options.size))
    microphone = Microphone(LoopedSpeech.read(options.speech))
    async with aiohttp.ClientSession() as http:
        async with http.post(f"{url}v1/sessions", json={}) as response:
            body = await response.json()
            if response.status != 201:
                raise SystemExit(body["error"]["message"])
        session = Session(http, url, body)
        whip, whep = (url.rstrip("/") + body["urls"][name] for name in ("whip", "whep"))
        publisher = Publisher(camera, microphone)
        await publisher.connect(http, whip, body["token"])
        camera.roll()
        microphone.speak()
        watchers: list[Watcher] = []
        rows = []
        for count in (1, options.viewers):
            while len(watchers) < count:
                watchers.append(Watcher(options.codec, decodes=False))
                await watchers[-1].connect(http, whep, body["view_token"])
                watchers[-1].count()
            rows.append(await watch(http, url, pid, watchers, options.seconds))
            print(json.dumps(rows[-1]), flush=True)
        waits = []
        for _ in range(options.joins):
            late = Watcher(options.codec, decodes=True)
            began = time.monotonic()
            await late.connect(http, whep, body["view_token"])
            async with asyncio.timeout(WAIT):
                waits.append(1000 * (await late.first_picture - began))
            await late.close()
        state = await session.call("GET", "session")
        await asyncio.gather(*(watcher.close() for watcher in watchers))
        collections = await metric(http, url, COLLECTIONS)
        await publisher.connection.close()
        await session.call("DELETE", "session")
    return summary(rows, waits, state["stats"], pid) | {"collections_over_20_ms": collections}


def summary(rows: list[dict[str, Any]], waits: list[float], stats: dict[str, Any], pid: int) -> dict[str, Any]:
    """Prints one figure a line."""
    alone, all_of_them = rows
    more = all_of_them["packets_a_second"] - alone["packets_a_second"]
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "viewers": all_of_them["viewers"],
        "watching": all_of_them["watching"],
        "packets_a_second": all_of_them["packets_a_second"],
        "arrived_share": all_of_them["arrived_share"],
        "server_cpu_cores": all_of_them["server_cpu_cores"],
        "server_cpu_cores_1_viewer": alone["server_cpu_cores"],
        "loop_cpu_cores": all_of_them["loop_cpu_cores"],
        "loop_cpu_cores_1_viewer": alone["loop_cpu_cores"],
        "loop_us_a_packet": 1e6 * (all_of_them["loop_cpu_cores"] - alone["loop_cpu_cores"]) / max(1.0, more),
        "peers_cpu_cores": all_of_them["peers_cpu_cores"],
        "join_ms_p50": float(np.percentile(waits, 50)),
        "join_ms_p95": float(np.percentile(waits, 95)),
        "join_ms_most": max(waits),
        "rung": stats["rung"],
        "server_peak_mb": peak_megabytes(pid),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--joins", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--codec", choices=["vp8", "h264"], default="vp8")
    parser.add_argument("--size", type=int, default=512, help="width and height of the pictures")
    parser.add_argument("--clip", type=Path, default=ASSETS / "astronaut.png")
    parser.add_argument("--speech", type=Path, default=ASSETS / "demo_speech.flac")
    parser.add_argument("--times", type=int, default=30, help="utterances over the WebSocket")
    parser.add_argument("--cuts", type=int, default=5, help="of the WebSocket's line")
    parser.add_argument("--preset", default="edge")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with serving("--preset", options.preset) as (url, _):
        spoken = asyncio.run(converse(url.rstrip("/"), "balanced", options.times, options.cuts))
    with serving("--preset", options.preset) as (url, pid):
        figures = asyncio.run(measure(url, pid, options))
    figures |= {f"websocket_{name}": value for name, value in spoken.items()}
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
