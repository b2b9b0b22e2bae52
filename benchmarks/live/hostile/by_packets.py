"""Attacks by the packets of a call: STUN, RTP and RTCP."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender
from aiortc.rtp import RTCP_RTPFB, RTCP_RTPFB_NACK, RtcpByePacket, RtpPacket, pack_rtcp_packet

from benchmarks.live.aiortc_peer import h264_payloads, on_packets, send, stream_of
from benchmarks.live.clients import Watcher, offer
from benchmarks.live.hostile.target import PATIENCE, Target, paced, rtp

DATAGRAMS = 10_000  # a second
NACKS = 20  # a second
JUMPS = 60  # a second
PICTURES = 5  # a second, of RGB_SIZE
RGB_SIZE = (4096, 2304)
SOURCES = 400
MAGIC = 0x2112A442  # RFC 8489, 5

_EMPTY_VP8 = b"\x10\x00"
_SILENT_OPUS = b"\xf8\xff\xfe"


class Silent(MediaStreamTrack):
    """A track whose packets the attack writes itself."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    async def recv(self) -> Any:
        await asyncio.Event().wait()


@asynccontextmanager
async def publisher(target: Target, codec: str) -> AsyncIterator[tuple[dict[str, Any], RTCPeerConnection]]:
    """Publishes nothing into a session of its own."""
    session = await target.create()
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for kind in ("audio", "video"):
        transceiver = peer.addTransceiver(Silent(kind), direction="sendonly")
        if kind == "video":
            known = RTCRtpSender.getCapabilities("video").codecs
            transceiver.setCodecPreferences([one for one in known if one.name.lower() == codec])
    try:
        await offer(peer, target.http, target.url + session["urls"]["whip"], session["token"])
        async with asyncio.timeout(PATIENCE):
            while peer.connectionState != "connected":  # noqa: ASYNC110 (its event is a callback's)
                await asyncio.sleep(0.02)
        yield session, peer
    finally:
        await peer.close()
        await target.delete(session)


@asynccontextmanager
async def viewer(target: Target, packets: Callable[[str, RtpPacket], None]) -> AsyncIterator[RTCPeerConnection]:
    """Watches the honest session with a view token."""
    watcher = Watcher("vp8", decodes=False)
    try:
        await watcher.connect(target.http, target.url + target.honest["urls"]["whep"], target.honest["view_token"])
        on_packets(watcher.connection, packets)
        async with asyncio.timeout(PATIENCE):
            while watcher.connection.connectionState != "connected":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        yield watcher.connection
    finally:
        await watcher.close()


async def nack_flood(target: Target, seconds: float) -> str:
    """Asks as a viewer for the newest 476 packets of the pictures, eleven times a message, 20 messages a second."""
    newest: dict[int, int] = {}
    count = {"audio": 0, "video": 0}

    def came(kind: str, packet: RtpPacket) -> None:
        count[kind] += 1
        if kind == "video":
            newest.setdefault(packet.ssrc, packet.sequence_number)
            if count[kind] < 3 or packet.payload_type == first_type.setdefault(packet.ssrc, packet.payload_type):
                newest[packet.ssrc] = packet.sequence_number

    first_type: dict[int, int] = {}
    async with viewer(target, came) as peer:
        async with asyncio.timeout(PATIENCE):
            while not newest:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        ssrc = next(iter(newest))
        async for _ in paced(NACKS, seconds):
            starts = [(newest[ssrc] - 17 * (1 + number % 28)) & 0xFFFF for number in range(330)]
            lost = b"".join(struct.pack("!HH", start, 0xFFFF) for start in starts)
            await send(peer, pack_rtcp_packet(RTCP_RTPFB, RTCP_RTPFB_NACK, struct.pack("!LL", 1, ssrc) + lost))
    return f"drew {count['video']} packets of pictures in {seconds:.0f} s"


async def sequence_jumps(target: Target, seconds: float) -> str:
    """Publishes packets of 14 bytes whose sequence numbers jump by 32 767, 60 a second."""
    async with publisher(target, "vp8") as (_, peer):
        payload_type, ssrc = stream_of(peer, "video")
        async for count in paced(JUMPS, seconds):
            await send(peer, rtp(payload_type, 32_767 * count, 3000 * count, ssrc, _EMPTY_VP8))
    return f"{JUMPS} a second"


async def rgb_camera(target: Target, seconds: float) -> str:
    """Publishes H264 of 4096 x 2304 in RGB, 5 pictures a second."""
    pictures = await asyncio.to_thread(_rgb_pictures, *RGB_SIZE)
    async with publisher(target, "h264") as (session, peer):
        (sound_type, sound), (payload_type, ssrc) = stream_of(peer, "audio"), stream_of(peer, "video")
        number = 0
        async for count in paced(50, seconds):
            await send(peer, rtp(sound_type, count, 960 * count, sound, _SILENT_OPUS))
            if count % (50 // PICTURES):
                continue
            payloads = pictures[count // (50 // PICTURES) % len(pictures)]
            for payload in payloads:
                await send(peer, rtp(payload_type, number, 1800 * count, ssrc, payload, marker=payload is payloads[-1]))
                number += 1
        told = (await target.state(session))["stats"].get("pictures", {})
    return f"pictures {told}"


async def many_sources(target: Target, seconds: float) -> str:
    """Publishes from one SSRC after another, 400 of them."""
    before = await target.metrics("mytalk_datagrams_refused_total")
    async with publisher(target, "vp8") as (_, peer):
        payload_type, ssrc = stream_of(peer, "video")
        async for count in paced(SOURCES / seconds * 2, seconds):
            await send(peer, rtp(payload_type, count, 3000, (ssrc + count % SOURCES) & 0xFFFFFFFF, _EMPTY_VP8))
    return await _refused(target, before)


async def byes(target: Target, seconds: float) -> str:
    """Publishes sound, and says goodbye ten times a second in between."""
    async with publisher(target, "vp8") as (session, peer):
        payload_type, ssrc = stream_of(peer, "audio")
        async for count in paced(50, seconds):
            await send(peer, rtp(payload_type, count, 960 * count, ssrc, _SILENT_OPUS))
            if count % 5 == 4:
                await send(peer, bytes(RtcpByePacket(sources=[ssrc])))
        state = (await target.state(session))["state"]
    return f"the session is {state}"


async def stun_malformed(target: Target, seconds: float) -> str:
    """Sends 10 000 STUN requests a second whose attributes are cut short, from an address that nobody knows."""
    body = struct.pack("!HH", 0x24, 2) + bytes(4)
    return await _flood(target, seconds, lambda: struct.pack("!HHI12s", 1, 8, MAGIC, os.urandom(12)) + body)


async def stun_of_strangers(target: Target, seconds: float) -> str:
    """Sends 10 000 well-formed STUN requests a second with wrong credentials."""
    name = b"abcd:efgh"
    body = struct.pack("!HH", 0x06, len(name)) + name + bytes(3) + struct.pack("!HH20s", 8, 20, bytes(20))
    head = struct.pack("!HHI", 1, len(body), MAGIC)
    return await _flood(target, seconds, lambda: head + os.urandom(12) + body)


async def media_of_strangers(target: Target, seconds: float) -> str:
    """Sends 10 000 datagrams a second that look like RTP."""
    return await _flood(target, seconds, lambda: b"\x80" + os.urandom(27))


async def _flood(target: Target, seconds: float, datagram: Callable[[], bytes]) -> str:
    """Floods the port of a viewer's connection from a socket that is no peer's."""
    before = await target.metrics("mytalk_datagrams_refused_total")
    made = [datagram() for _ in range(256)]
    async with viewer(target, lambda kind, packet: None) as peer:
        [host, port] = re.findall(r"a=candidate:\S+ 1 udp \d+ (\d+\.\S+) (\d+) typ host", peer.remoteDescription.sdp)[0]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.connect((host, int(port)))
            async for count in paced(DATAGRAMS, seconds):
                stranger.send(made[count % len(made)])
        return await _refused(target, before)


async def _refused(target: Target, before: Counter[str]) -> str:
    after = await target.metrics("mytalk_datagrams_refused_total")
    return "refused " + (", ".join(f"{name[9:-2]} x {count}" for name, count in (after - before).items()) or "none")


def _rgb_pictures(width: int, height: int) -> list[list[bytes]]:
    encoder = av.CodecContext.create("libx264rgb", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "rgb24"
    encoder.time_base, encoder.framerate = Fraction(1, 90_000), Fraction(25)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1"}
    made = []
    for index in range(10):
        frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 90, np.uint8), format="rgb24")
        frame.pts, frame.time_base = 3600 * index, Fraction(1, 90_000)
        made.append(h264_payloads(b"".join(bytes(packet) for packet in encoder.encode(frame))))
    return made


Attack = Callable[[Target, float], Awaitable[str]]
"""Attacks a server for some seconds, and returns what came of it."""
