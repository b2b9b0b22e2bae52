"""A clock that a test moves on while the machine's own time passes."""

from __future__ import annotations

import asyncio

from streamer.clock import SECOND_NS, SystemClock


class ShiftedClock(SystemClock):
    """The machine's monotonic clock, and what a test adds: tokens expire without anybody waiting."""

    def __init__(self) -> None:
        self._shift = 0

    def skip(self, seconds: int) -> None:
        """Has ``seconds`` pass at once. What sleeps already sleeps on."""
        self._shift += seconds * SECOND_NS

    def now(self) -> int:
        return super().now() + self._shift

    async def sleep_until(self, moment: int) -> None:
        await asyncio.sleep(max(0, moment - self.now()) / SECOND_NS)
