"""Floods of one peer beside an honest session: it goes on, and the flood draws no more than the stream itself."""

from __future__ import annotations

import asyncio
import os
import struct
from typing import Any

from aiortc.rtp import RTCP_RTPFB, RTCP_RTPFB_NACK, pack_rtcp_packet

from streamer.http.server import Running
from streamer.webrtc.retransmissions import MOST_CREDIT
from tests.streamer.support.aiortc_peer import ice_transport
from tests.streamer.support.honest_session import honest_session
from tests.streamer.support.http_client import Client
from tests.streamer.support.waiting import eventually
from tests.streamer.support.whip_clients import watch

NACKS = 20


def nack(ssrc: int, newest: int) -> bytes:
    """Names the newest 476 packets of a stream eleven times, in 1332 bytes."""
    starts = [(newest - 17 * (1 + number % 28)) & 0xFFFF for number in range(330)]
    lost = b"".join(struct.pack("!HH", start, 0xFFFF) for start in starts)
    return pack_rtcp_packet(RTCP_RTPFB, RTCP_RTPFB_NACK, struct.pack("!LL", 1, ssrc) + lost)


async def test_a_viewers_nacks_and_a_strangers_datagrams_harm_nobody(client: Client, server: Running) -> None:
    async with honest_session(client) as honest:
        viewer = await watch(client, honest.session)
        await viewer.until(pictures=5)
        [ours] = server.sessions.all()[0].connections.viewers.values()
        stream: Any = ours._picture_sender
        dtls = viewer.connection.getTransceivers()[0].receiver.transport
        ssrc = stream._sender._ssrc
        received = viewer.connection.getTransceivers()[1].receiver._RTCRtpReceiver__remote_streams  # type: ignore[attr-defined]
        socket = ice_transport(ours._connection)._connection._protocols[0]
        honest.begin()
        packets, size = stream.packets, stream.bytes
        for _ in range(NACKS):
            await dtls._send_rtp(nack(ssrc, received[ssrc].max_seq))
            for _ in range(50):
                bad = struct.pack("!HHI12s", 1, 8, 0x2112A442, os.urandom(12)) + struct.pack("!HH", 0x24, 2) + bytes(4)
                socket.datagram_received(bad, ("203.0.113.9", 6000))
            await asyncio.sleep(0.01)
        await honest.goes_on()
        felt = honest.felt()
        most = MOST_CREDIT + 1.1 * (stream.bytes - size) + 1500
        assert 0 < stream.retransmitted <= most / (stream.bytes / stream.packets)
        assert stream.packets > packets
        assert felt.memory_mb < 20
        await eventually(lambda: ours.refusals.counts["malformed"] == 50 * NACKS)
        figures = await client.figures()
        assert figures['mytalk_datagrams_refused_total{reason="malformed"}'] == 50 * NACKS
        await viewer.close()
