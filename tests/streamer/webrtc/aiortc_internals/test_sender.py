"""Encoded media on an aiortc sender: the packets that leave, and what the viewer reports on them."""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtpPacket,
    pack_remb_fci,
)

from streamer.webrtc.aiortc_internals.sender import EncodedSender
from streamer.webrtc.encoded import Encoded
from streamer.webrtc.retransmissions import MOST_CREDIT
from tests.streamer.support.waiting import LIMIT_S, eventually


class Wire:
    """A transport that keeps the datagrams it is given."""

    state = "connected"
    _stats_id = "wire"

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.broken = False

    async def _send_rtp(self, data: bytes) -> None:
        if self.broken:
            raise ConnectionError
        if not 192 <= data[1] <= 223:  # RTCP
            self.sent.append(data)

    def _register_rtp_sender(self, *_: object) -> None: ...
    def _unregister_rtp_sender(self, *_: object) -> None: ...

    def packets(self) -> list[RtpPacket]:
        return [RtpPacket.parse(data) for data in self.sent]


class Stream:
    """One stream of pictures."""

    def __init__(self, offered: Any) -> None:
        self.wire = Wire()
        self.rtp_sender = RTCRtpSender("video", self.wire)  # type: ignore[arg-type]
        self.sender = EncodedSender(self.rtp_sender, "1", offered.headerExtensions)
        self.calls: list[Any] = []
        self.sender.ready = lambda: self.calls.append("ready")
        self.sender.refresh = lambda: self.calls.append("refresh")
        self.sender.report = self.calls.append
        self.sender.estimate = self.calls.append
        self._parameters = offered

    async def start(self) -> None:
        await self.rtp_sender.send(self._parameters)
        await eventually(lambda: self.calls == ["ready"])

    async def send(self, *encoded: Encoded) -> list[RtpPacket]:
        before, wanted = len(self.wire.sent), sum(len(one.payloads) for one in encoded)
        for one in encoded:
            self.sender.send(one)
        await eventually(lambda: len(self.wire.sent) >= before + wanted)
        return self.wire.packets()[before:]


def picture(number: int, payloads: int = 3, *, key: bool = False) -> Encoded:
    parts = [bytes([number, part]) * 20 for part in range(payloads)]
    return Encoded(b"".join(parts), parts, number * 640, timestamp=number * 3600, ntp=(4000 + number) << 32, key=key)


@pytest.fixture
async def stream() -> AsyncIterator[Stream]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transceiver = connection.addTransceiver("video", direction="sendonly")
    await connection.setLocalDescription(await connection.createOffer())
    parameters = connection._RTCPeerConnection__localRtp(transceiver)  # type: ignore[attr-defined]
    stream = Stream(parameters)
    await stream.start()
    yield stream
    await stream.rtp_sender.stop()
    await connection.close()


async def test_payloads_leave_as_they_are_with_consecutive_numbers_and_a_marker(stream: Stream) -> None:
    pictures = [picture(0, key=True), picture(1, payloads=20), picture(2, payloads=1)]
    packets = await stream.send(*pictures)
    assert [packet.payload for packet in packets] == [part for one in pictures for part in one.payloads]
    numbers = [packet.sequence_number for packet in packets]
    assert numbers == list(range(numbers[0], numbers[0] + 24))
    assert [index for index, packet in enumerate(packets) if packet.marker] == [2, 22, 23]
    times = [(packet.timestamp - packets[0].timestamp) % (1 << 32) for packet in packets]
    assert times == [0] * 3 + [3600] * 20 + [7200]
    assert {packet.ssrc for packet in packets} == {stream.rtp_sender._ssrc}
    assert (stream.sender.packets, stream.sender.bytes) == (24, 24 * 40)


async def test_a_stream_begins_with_a_keyframe(stream: Stream) -> None:
    stream.sender.send(picture(0))
    stream.sender.send(picture(1))
    packets = await stream.send(picture(2, key=True), picture(3))
    assert [packet.payload[0] for packet in packets] == [2] * 3 + [3] * 3


async def test_extensions_that_were_agreed_on_are_in_every_packet(stream: Stream) -> None:
    [packet, *_] = await stream.send(picture(0, key=True))
    [data] = [data for data in stream.wire.sent if RtpPacket.parse(data).payload == packet.payload]
    assert data[0] & 0x10
    profile, words = struct.unpack("!HH", data[12:16])
    assert (profile, words) == (0xBEDE, 2)
    assert data[16:18] == bytes([1 << 4, ord("1")])  # the section's name
    assert data[18] == 3 << 4 | 2  # the send time, 24 bits of 6.18 fixed point
    assert int.from_bytes(data[19:22], "big") == (4000 << 18) & 0xFFFFFF


async def test_a_lost_packet_is_sent_again_by_the_repair_stream(stream: Stream) -> None:
    packets = await stream.send(picture(0, key=True))
    lost = packets[1]
    nack = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=stream.rtp_sender._ssrc, lost=[lost.sequence_number])
    await stream.rtp_sender._handle_rtcp_packet(nack)
    again = stream.wire.packets()[-1]
    assert again.ssrc == stream.rtp_sender._rtx_ssrc
    assert again.payload == struct.pack("!H", lost.sequence_number) + lost.payload
    assert (again.timestamp, again.marker) == (lost.timestamp, lost.marker)
    assert again.payload_type != lost.payload_type
    before = len(stream.wire.sent)
    nack.lost = [(lost.sequence_number + 600) % 65536]  # never sent
    await stream.rtp_sender._handle_rtcp_packet(nack)
    assert len(stream.wire.sent) == before


async def test_a_flood_of_nacks_draws_no_more_than_a_keyframe_and_lets_others_run(stream: Stream) -> None:
    pictures = [picture(number, payloads=50, key=number == 0) for number in range(12)]
    packets = await stream.send(*(replace(one, payloads=[bytes(1200)] * 50) for one in pictures))
    ssrc, lost = stream.rtp_sender._ssrc, [packet.sequence_number for packet in packets] * 9
    turns, before = itertools.count(), len(stream.wire.sent)

    async def others() -> None:
        while True:
            next(turns)
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    for _ in range(5):
        await stream.rtp_sender._handle_rtcp_packet(RtcpRtpfbPacket(RTCP_RTPFB_NACK, 1, ssrc, lost))
    task.cancel()
    again = stream.wire.sent[before:]
    assert sum(map(len, again)) <= 1.01 * MOST_CREDIT
    assert len(again) == stream.sender.retransmitted > 100
    assert next(turns) >= len(again) // 8


async def test_reports_of_the_viewer_reach_the_callbacks(stream: Stream) -> None:
    ssrc = stream.rtp_sender._ssrc
    stream.calls.clear()
    await stream.rtp_sender._handle_rtcp_packet(RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=ssrc))
    await stream.rtp_sender._handle_rtcp_packet(RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=ssrc))
    fci = pack_remb_fci(1_000_000, [ssrc])
    await stream.rtp_sender._handle_rtcp_packet(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci))
    info = RtcpReceiverInfo(ssrc=ssrc, fraction_lost=64, packets_lost=3, highest_sequence=9, jitter=0, lsr=0, dlsr=0)
    await stream.rtp_sender._handle_rtcp_packet(RtcpRrPacket(ssrc=1, reports=[info]))
    refresh, again, estimate, lost = stream.calls
    assert (refresh, again, lost) == ("refresh", "refresh", 0.25)
    assert estimate == pytest.approx(1_000_000, rel=0.01)


async def test_sender_reports_hold_the_time_of_release(stream: Stream) -> None:
    packets = await stream.send(picture(0, key=True), picture(5))
    assert stream.rtp_sender._RTCRtpSender__ntp_timestamp == 4005 << 32  # type: ignore[attr-defined]
    assert stream.rtp_sender._RTCRtpSender__rtp_timestamp == packets[-1].timestamp  # type: ignore[attr-defined]
    assert stream.rtp_sender._RTCRtpSender__packet_count == len(packets)  # type: ignore[attr-defined]


async def test_a_stream_that_stands_still_drops_everything_and_begins_at_a_keyframe(stream: Stream) -> None:
    stream.calls.clear()
    for number in range(100):  # nothing is awaited: the loop stands still
        stream.sender.send(picture(number, payloads=1, key=number in (0, 90)))
    assert stream.calls == ["refresh"]
    await eventually(lambda: len(stream.wire.sent) == 10)
    assert [packet.payload[0] for packet in stream.wire.packets()] == list(range(90, 100))


async def test_a_viewer_that_has_gone_ends_the_stream_quietly(stream: Stream, caplog: Any) -> None:
    stream.wire.broken = True
    stream.sender.send(picture(0, key=True))
    await asyncio.wait_for(stream.rtp_sender.stop(), LIMIT_S)
    stream.wire.broken = False
    assert caplog.text == ""
