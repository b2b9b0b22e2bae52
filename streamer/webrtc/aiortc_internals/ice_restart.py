"""Restarts ICE (RFC 8839, 4.4), which aiortc 1.16.0 and aioice cannot.

The sockets and the DTLS connection stay: only the credentials and the peer's candidates are new, and a new pair of
addresses is agreed on. Media goes on over the old pair until then.
"""

from __future__ import annotations

import asyncio

from aioice.ice import CandidatePair
from aioice.utils import random_string
from aiortc import RTCIceTransport

PATIENCE = 200
"""Rounds of 50 ms that a restart may take before the old pair is kept."""

_ROUND = 0.05  # seconds between new checks (Ta, RFC 8445, 14.2)
_WAITING = (CandidatePair.State.WAITING, CandidatePair.State.FROZEN)


def renew(transport: RTCIceTransport, username: str, password: str) -> None:
    """Takes the peer's new credentials, forgets its candidates, and makes new credentials of its own."""
    connection = transport._connection
    for pair in connection._check_list:
        if pair.task is not None:
            pair.task.cancel()
    connection._check_list.clear()
    connection._remote_candidates.clear()
    connection._remote_candidates_end = False
    connection._nominating.clear()
    connection.remote_username, connection.remote_password = username, password
    connection._local_username, connection._local_password = random_string(4), random_string(22)
    transport.iceGatherer._remote_candidates_end = False


async def agree(transport: RTCIceTransport) -> bool:
    """Checks pairs until the peer has nominated a new one; False where it has not in time, or the connection closes."""
    connection = transport._connection
    before = dict(connection._nominated)
    for _ in range(PATIENCE):
        waiting = next((pair for pair in connection._check_list if pair.state in _WAITING), None)
        if waiting is not None:
            connection.check_start_task(waiting)
        await asyncio.sleep(_ROUND)
        if connection._closing:
            break
        if any(connection._nominated.get(component) is not pair for component, pair in before.items()):
            return True
    return False
