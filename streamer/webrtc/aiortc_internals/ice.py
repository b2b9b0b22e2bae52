"""Reaches the aioice connection behind an ICE transport of aiortc 1.16.0."""

from __future__ import annotations

from functools import partial
from typing import Any

from aiortc import RTCIceTransport


def limit_gathering(transport: RTCIceTransport, seconds: float) -> None:
    """Gives STUN and TURN servers that long to answer. Call it before candidates are gathered; aioice waits 5 s."""
    ice: Any = transport._connection
    ice.get_component_candidates = partial(ice.get_component_candidates, timeout=seconds)


def remote_username(transport: RTCIceTransport) -> str | None:
    """The peer's ICE username fragment; None until the transport has started."""
    username: str | None = transport._connection.remote_username
    return username
