"""Waiting for what another thread, a socket or a real clock brings about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.support.limits import LIMIT_S


async def eventually(condition: Callable[[], bool], seconds: float = LIMIT_S) -> None:
    """Returns when ``condition`` holds. Raises TimeoutError when it does not in time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (no event announces the condition)
            await asyncio.sleep(0.02)
