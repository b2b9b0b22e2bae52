"""Makes an aiortc peer lose packets, vanish, only count what it gets, or send packets of one's own: there is no public
name for those.

The only place of the benchmarks that uses aiortc's private names.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiortc import RTCPeerConnection
from aiortc.codecs.h264 import H264Encoder
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtpPacket


def vanish(connection: RTCPeerConnection) -> None:
    """Closes every socket and says nothing."""
    for transport in {one.receiver.transport.transport for one in connection.getTransceivers()}:
        for protocol in transport._connection._protocols:
            protocol.transport.abort()


@contextmanager
def losing_packets(connection: RTCPeerConnection, share: float) -> Iterator[None]:
    """Loses a share (0..1) of the packets that arrive, by chance."""
    chance = random.Random(1)
    whole = {one.receiver.transport: one.receiver.transport._handle_rtp_data for one in connection.getTransceivers()}
    for transport, handle in whole.items():

        async def lossy(data: bytes, arrival_time_ms: int, handle: Any = handle) -> None:
            if chance.random() >= share:
                await handle(data, arrival_time_ms)

        transport._handle_rtp_data = lossy
    try:
        yield
    finally:
        for transport, handle in whole.items():
            transport._handle_rtp_data = handle


def on_packets(connection: RTCPeerConnection, came: Callable[[str, RtpPacket], None]) -> None:
    """Gives each packet and its kind to ``came``, has them reported on, and does nothing else with them."""
    for transceiver in connection.getTransceivers():
        receiver, kind = transceiver.receiver, transceiver.kind
        streams = receiver._RTCRtpReceiver__remote_streams
        rate = 48_000 if kind == "audio" else 90_000

        async def take(
            packet: RtpPacket, arrival_time_ms: int, kind: str = kind, streams: Any = streams, rate: int = rate
        ) -> None:
            came(kind, packet)
            if packet.ssrc not in streams:
                streams[packet.ssrc] = StreamStatistics(rate)
            streams[packet.ssrc].add(packet)

        receiver._handle_rtp_packet = take


async def send(connection: RTCPeerConnection, packet: bytes) -> None:
    """Sends a packet of RTP or RTCP, encrypted, whatever is in it."""
    await connection.getTransceivers()[0].sender.transport._send_rtp(packet)


def stream_of(connection: RTCPeerConnection, kind: str) -> tuple[int, int]:
    """Returns payload type and SSRC of what the peer sends of one kind."""
    [transceiver] = [one for one in connection.getTransceivers() if one.kind == kind]
    return transceiver._codecs[0].payloadType, transceiver.sender._ssrc


def h264_payloads(data: bytes) -> list[bytes]:
    """Cuts one picture in Annex B into payloads (RFC 6184)."""
    return H264Encoder._packetize(H264Encoder._split_bitstream(data))
