"""Spaces work of the event loop that comes in bursts, so that the media of others goes on in between."""

from __future__ import annotations

import asyncio

from streamer.errors import BusyError

PAUSE = 0.01
"""Seconds between two turns at least. An offer takes 4 to 6 ms of the event loop to parse and answer."""

MOST_WAITING = 400
"""Callers that wait for their turn: 4 s of them, more than a session has places for viewers. More are refused."""

RETRY_TURN = 2
"""Seconds after which one that was refused may ask again."""


class Turns:
    """Gives one caller after another its turn."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0

    async def take(self) -> None:
        """Waits for a turn. Raises ``BusyError`` where ``MOST_WAITING`` wait already."""
        if self._waiting >= MOST_WAITING:
            raise BusyError(f"{MOST_WAITING} offers wait to be answered (ask again)", RETRY_TURN)
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        asyncio.get_running_loop().call_later(PAUSE, self._lock.release)
