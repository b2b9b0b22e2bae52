"""Makes an aiortc peer lose packets, vanish, ask for a keyframe, or lose some addresses: there is no public name for
those.

With the tests of ``streamer/webrtc/aiortc_internals`` the only place of the tests that uses aiortc's private names.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partialmethod
from typing import Any

import pylibsrtp
import pytest
from aioice import Connection
from aioice.ice import StunProtocol
from aioice.stun import Message
from aiortc import RTCPeerConnection


def ice_transport(connection: RTCPeerConnection) -> Any:
    """The one ICE transport of a bundled connection."""
    [transport] = {one.receiver.transport.transport for one in connection.getTransceivers()}
    return transport


def vanish(connection: RTCPeerConnection) -> None:
    """Closes every socket and says nothing."""
    for transport in {one.receiver.transport.transport for one in connection.getTransceivers()}:
        for protocol in transport._connection._protocols:
            protocol.transport.abort()


async def ask_for_keyframe(connection: RTCPeerConnection) -> None:
    """Sends a picture loss indication (RFC 4585, 6.3.1) for the video that is received."""
    receiver = next(one.receiver for one in connection.getTransceivers() if one.kind == "video")
    [source] = receiver.getSynchronizationSources()
    await receiver._send_rtcp_pli(source.source)


async def send_encrypted(connection: RTCPeerConnection, packet: bytes) -> None:
    """Sends RTP or RTCP of the caller's making by SRTP; nothing where SRTP takes it for no packet."""
    transport = connection.getTransceivers()[0].receiver.transport
    with suppress(pylibsrtp.Error):
        await transport._send_rtp(packet)


@contextmanager
def losing_packets(connection: RTCPeerConnection, share: float) -> Iterator[None]:
    """Loses a share (0..1) of the packets that arrive, by chance: a count would fall into step with the sound's."""
    [transport] = {one.receiver.transport for one in connection.getTransceivers()}
    handle, chance = transport._handle_rtp_data, random.Random(1)

    async def lossy(data: bytes, arrival_time_ms: int) -> None:
        if chance.random() >= share:
            await handle(data, arrival_time_ms)

    transport._handle_rtp_data = lossy  # type: ignore[method-assign]
    try:
        yield
    finally:
        transport._handle_rtp_data = handle  # type: ignore[method-assign]


def gather_for(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Makes aioice wait that long for STUN and TURN servers, in place of its own 5 s."""
    gather = partialmethod(Connection.get_component_candidates, timeout=seconds)
    monkeypatch.setattr(Connection, "get_component_candidates", gather)


Address = tuple[str, int]


def cuttable(monkeypatch: pytest.MonkeyPatch, seen: set[Address], cut: set[Address]) -> None:
    """Makes the server note the addresses that it receives from, and lose all packets of those in ``cut``."""
    receive, send, send_stun = StunProtocol.datagram_received, StunProtocol.send_data, StunProtocol.send_stun

    def datagram_received(self: StunProtocol, data: bytes, addr: tuple[Any, ...]) -> None:
        seen.add(addr[:2])
        if addr[:2] not in cut:
            receive(self, data, addr)

    async def send_data(self: StunProtocol, data: bytes, addr: Address) -> None:
        if addr not in cut:
            await send(self, data, addr)

    def send_a_check(self: StunProtocol, message: Message, addr: Address) -> None:
        if addr not in cut:
            send_stun(self, message, addr)

    monkeypatch.setattr(StunProtocol, "datagram_received", datagram_received)
    monkeypatch.setattr(StunProtocol, "send_data", send_data)
    monkeypatch.setattr(StunProtocol, "send_stun", send_a_check)
