"""Makes an aiortc peer lose packets, vanish, or only count what it gets: there is no public name for those.

The only place of the benchmarks that uses aiortc's private names.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiortc import RTCPeerConnection
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


def count_packets(connection: RTCPeerConnection, counted: Callable[[], None]) -> None:
    """Has packets counted and reported on, and does nothing else with them."""
    for transceiver in connection.getTransceivers():
        receiver = transceiver.receiver
        streams = receiver._RTCRtpReceiver__remote_streams
        rate = 48_000 if transceiver.kind == "audio" else 90_000

        async def count(packet: RtpPacket, arrival_time_ms: int, streams: Any = streams, rate: int = rate) -> None:
            counted()
            if packet.ssrc not in streams:
                streams[packet.ssrc] = StreamStatistics(rate)
            streams[packet.ssrc].add(packet)

        receiver._handle_rtp_packet = count
