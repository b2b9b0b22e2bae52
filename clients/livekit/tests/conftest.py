"""A room with an agent in it, and the streamer of the agents' plug-ins."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from livekit import rtc
from local_room import Hub, LocalRoom
from streamer_process import server

__all__ = ["agent", "server"]


@pytest.fixture
async def agent() -> AsyncIterator[LocalRoom]:
    """The room as the agent sees it, who is in it."""
    room = Hub().room("agent", rtc.ParticipantKind.PARTICIPANT_KIND_AGENT)
    await room.connect("", "")
    yield room
    await room.disconnect()
