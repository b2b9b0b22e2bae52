"""Makes an aiortc peer of a test lose packets, vanish, or ask for a keyframe: aiortc has no public name for those.

With the tests of ``streamer/webrtc/aiortc_internals`` the only place of the tests that uses aiortc's private names.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
