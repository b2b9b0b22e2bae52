"""SSRCs and RTCP of one transport, bounded: 256 SSRCs end the task that aiortc's ``close`` waits for."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest
from aiortc import RTCIceGatherer, RTCIceTransport
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import RemoteStreamTrack, RTCRtpReceiver
from aiortc.rtp import RtcpPacket, RtcpRrPacket, RtpPacket

from streamer.webrtc.aiortc_internals import sources
from streamer.webrtc.aiortc_internals.receiver import InboundTrack
from streamer.webrtc.aiortc_internals.sources import MOST_SOURCES, RTCP_BURST, SourceGuard
from streamer.webrtc.refusals import Refusals
from tests.streamer.support.waiting import eventually

OPUS = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48_000, channels=2, payloadType=111)


class Transport:
    """A DTLS transport that has met its peer, with one receiver of speech; what it sends is kept."""

    def __init__(self) -> None:
        self.refusals = Refusals()
        self.sent: list[bytes] = []
        ice = RTCIceTransport(RTCIceGatherer(iceServers=[]))
        self.dtls: Any = RTCDtlsTransport(ice, [RTCCertificate.generateCertificate()])
        SourceGuard(self.dtls, self.refusals)
        self.dtls._send_rtp = self._keep
        self.receiver: Any = RTCRtpReceiver("audio", self.dtls)
        self.receiver._track = RemoteStreamTrack("audio")
        self.receiver._set_rtcp_ssrc(1)
        self.inbound = InboundTrack(self.receiver)

    async def _keep(self, data: bytes) -> None:
        self.sent.append(data)

    async def __aenter__(self) -> Transport:
        await self.receiver.receive(RTCRtpReceiveParameters(codecs=[OPUS]))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.receiver.stop()
        assert await self.inbound.ended(3.0)

    async def receive(self, ssrc: int, number: int = 0) -> None:
        packet = RtpPacket(payload_type=111, sequence_number=number, timestamp=960 * number, ssrc=ssrc)
        packet.payload = b"\xf8\xff\xfe"
        await self.dtls._handle_rtp_data(packet.serialize(), arrival_time_ms=0)

    @property
    def known(self) -> set[int]:
        return set(self.receiver._RTCRtpReceiver__remote_streams)


async def test_more_sources_than_a_report_holds_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiortc.rtcrtpreceiver.random.random", lambda: -0.45)  # a report after 50 ms
    async with Transport() as transport:
        for ssrc in range(1000, 1300):
            await transport.receive(ssrc)
        assert transport.known == set(range(1000, 1000 + MOST_SOURCES))
        assert len(transport.dtls._rtp_router.ssrc_table) == MOST_SOURCES
        assert transport.refusals.counts == {"source": 300 - MOST_SOURCES}
        await eventually(lambda: bool(transport.sent))
        [report] = RtcpPacket.parse(transport.sent[0])
        assert isinstance(report, RtcpRrPacket)
        assert len(report.reports) == MOST_SOURCES


async def test_a_source_that_fell_silent_gives_its_place_to_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(sources.time, "monotonic", lambda: now)
    async with Transport() as transport:
        for ssrc in range(MOST_SOURCES):
            await transport.receive(ssrc)
        now += 1.5
        await transport.receive(0, number=1)
        now += 0.6  # 2.1 s after all but the first
        await transport.receive(500)
        assert transport.known == {0, *range(2, MOST_SOURCES), 500}
        assert set(transport.dtls._rtp_router.ssrc_table) == transport.known
        assert not transport.refusals.counts


async def test_rtcp_beyond_its_rate_is_not_read() -> None:
    read: list[bytes] = []

    async def parse(data: bytes) -> None:
        read.append(data)

    transport = Transport()
    transport.dtls._handle_rtcp_data = parse
    guard = SourceGuard(transport.dtls, transport.refusals)
    nack = struct.pack("!BBHLL", 0x81, 205, 332, 1, 2) + bytes(1324)
    for _ in range(500):
        await guard._on_rtcp(nack)
    assert RTCP_BURST - len(nack) < sum(map(len, read)) < 2 * RTCP_BURST
    assert transport.refusals.counts["rtcp"] == 500 - len(read)
    await asyncio.sleep(0)
