"""Reaches the aioice connection behind an ICE transport of aiortc 1.16.0."""

from __future__ import annotations

import asyncio
from typing import Any

from aioice import Candidate
from aiortc import RTCIceTransport


def limit_gathering(transport: RTCIceTransport, seconds: float) -> None:
    """Gives STUN and TURN servers that long to answer. Call it before candidates are gathered; aioice waits 5 s.

    Gathering that is cancelled goes on to its end first, by that time: aioice 0.13 notes the sockets of an address once
    all of them are open, and leaves open those that it had not noted yet.
    """
    ice: Any = transport._connection
    gather = ice.get_component_candidates

    async def whole(component: int, addresses: list[str]) -> list[Candidate]:
        gathering: asyncio.Task[list[Candidate]] = asyncio.create_task(gather(component, addresses, timeout=seconds))
        try:
            return await asyncio.shield(gathering)
        except asyncio.CancelledError:
            await asyncio.wait({gathering})
            raise

    ice.get_component_candidates = whole


def remote_username(transport: RTCIceTransport) -> str | None:
    """The peer's ICE username fragment; None until the transport has started."""
    username: str | None = transport._connection.remote_username
    return username
