"""Damaged STUN, DTLS, RTP and RTCP datagrams: nothing comes of them, and the call goes on."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aioice import stun
from aiortc.rtp import (
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    RtpPacket,
    pack_remb_fci,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.streamer.support import aiortc_peer
from tests.streamer.support.fuzzing import damaged_bytes, examples, nothing_went_wrong
from tests.streamer.support.http_client import Client, call
from tests.streamer.support.peers import Viewer
from tests.streamer.support.sounds import babble
from tests.streamer.support.tracks import Camera, Microphone


def binding(**attributes: Any) -> bytes:
    """A STUN binding request (RFC 8489)."""
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, bytes(12))
    message.attributes.update({name.replace("_", "-"): value for name, value in attributes.items()})
    message.add_message_integrity(b"key")
    return bytes(message)


ADDRESS = ("127.0.0.1", 9)
STUN = [
    binding(USERNAME="abcd:efgh", PRIORITY=1, ICE_CONTROLLING=1, USE_CANDIDATE=None),
    binding(ERROR_CODE=(487, "Role Conflict"), XOR_MAPPED_ADDRESS=ADDRESS),
    binding(MAPPED_ADDRESS=ADDRESS, SOFTWARE="x", CHANNEL_NUMBER=1, LIFETIME=1, ICE_CONTROLLED=1, REALM="é"),
    bytes(stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, bytes(12), {"XOR-MAPPED-ADDRESS": ADDRESS})),
]
DTLS = [bytes([kind, 254, 253]) + bytes(8) + struct.pack("!H", 4) + b"\2\x28\0\0" for kind in (20, 21, 22, 23)]


@dataclass(frozen=True, slots=True)
class Attacked:
    """A call, the address of its server, a socket of a stranger, and what the peer itself sends by."""

    viewer: Viewer
    address: tuple[str, int]
    stranger: socket.socket
    ssrcs: tuple[int, ...]  # of the peer's own sound and pictures


@pytest.fixture
async def attacked(client: Client) -> AsyncIterator[Attacked]:
    """A call that still goes on after all that was sent."""
    async with call(client, Microphone(babble(2)), Camera()) as (session, viewer):
        await viewer.until(pictures=3)
        local, remote = viewer.connection.localDescription.sdp, viewer.connection.remoteDescription.sdp
        [host, port] = re.findall(r"a=candidate:\S+ 1 udp \d+ (\d+\.\S+) (\d+) typ host", remote, re.IGNORECASE)[0]
        ssrcs = tuple(int(one) for one in re.findall(r"a=ssrc:(\d+)", local))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            yield Attacked(viewer, (host, int(port)), stranger, ssrcs)
        pictures, sounds = len(viewer.pictures), len(viewer.sounds)
        await viewer.until(pictures=pictures + 5, sounds=sounds + 10)
        assert (await client.state(session))["state"] == "live"


async def turned(count: int) -> None:
    """Lets the loop receive so many datagrams; they have arrived when they have been sent."""
    for _ in range(2 * count + 10):
        await asyncio.sleep(0)


@st.composite
def stun_messages(draw: st.DrawFn) -> bytes:
    """Messages with a right header and attributes (RFC 8489, 14): known ones with any content, or unknown ones."""
    kind = draw(st.sampled_from([0x0001, 0x0101, 0x0111, 0x0011, 0x0003, 0x0016]) | st.integers(0, 0x3FFF))
    known = st.sampled_from([entry[0] for entry in stun.ATTRIBUTES])
    attributes = b""
    for name, value in draw(st.lists(st.tuples(known | st.integers(0, 0xFFFF), st.binary(max_size=20)), max_size=5)):
        attributes += struct.pack("!HH", name, len(value)) + value + bytes(-len(value) % 4)
    return struct.pack("!HHI12s", kind, len(attributes), stun.COOKIE, bytes(12)) + attributes


@examples(150)
@given(datagrams=st.lists(stun_messages() | damaged_bytes(STUN + DTLS) | st.binary(max_size=60), max_size=20))
async def test_a_strangers_datagrams_come_to_nothing(
    attacked: Attacked, caplog: pytest.LogCaptureFixture, datagrams: list[bytes]
) -> None:
    with nothing_went_wrong(caplog):
        for data in datagrams:
            attacked.stranger.sendto(data, attacked.address)
        await turned(len(datagrams))
    assert attacked.viewer.connection.connectionState == "connected"


INFO = RtcpReceiverInfo(1, 0, 0, 0, 0, 0, 0)
RTCP = [
    bytes(RtcpRrPacket(1, [INFO])),
    bytes(RtcpSrPacket(1, RtcpSenderInfo(1 << 63, 1, 1, 1), [INFO])),
    bytes(RtcpSdesPacket([RtcpSourceInfo(1, [(1, b"cname")])])),
    bytes(RtcpRtpfbPacket(1, 1, 2, [1, 2, 40])),
    bytes(RtcpPsfbPacket(1, 1, 2)),
    bytes(RtcpPsfbPacket(15, 1, 0, pack_remb_fci(1_000_000, [1, 2]))),
    bytes(RtcpByePacket([1])),
]
RTP = [
    RtpPacket(payload, marker, 1, 1, 1, b"\x10\0\x9d\x01\x2a").serialize()
    for payload in (0, 96, 97, 111)
    for marker in (0, 1)
]


@st.composite
def media_packets(draw: st.DrawFn, ssrcs: tuple[int, ...]) -> bytes:
    """RTP and RTCP of the peer's own sources, damaged or with any content, in a header that SRTP lets through."""
    source = struct.pack("!I", draw(st.sampled_from([*ssrcs, 1]) | st.integers(0, 0xFFFFFFFF)))
    if draw(st.booleans()):
        data = draw(damaged_bytes(RTCP))
        return bytes([draw(st.integers(128, 191)), draw(st.integers(192, 223))]) + data[2:4] + source + data[8:]
    data = draw(damaged_bytes(RTP) | st.binary(max_size=40))
    head = struct.pack("!BBHI", draw(st.integers(128, 191)), draw(st.integers(0, 191)), draw(st.integers(0, 0xFFFF)), 1)
    return head + source + data[12:]


@examples(100)
@given(data=st.data())
async def test_a_peers_packets_come_to_nothing(
    attacked: Attacked, caplog: pytest.LogCaptureFixture, data: st.DataObject
) -> None:
    packets = data.draw(st.lists(media_packets(attacked.ssrcs), max_size=20))
    with nothing_went_wrong(caplog):
        for packet in packets:
            await aiortc_peer.send_encrypted(attacked.viewer.connection, packet)
        await turned(len(packets))
    assert attacked.viewer.connection.connectionState == "connected"
