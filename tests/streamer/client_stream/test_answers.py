"""A client is read no further while the answers that it asked for wait to be sent."""

from __future__ import annotations

import asyncio
import json

import pytest

from streamer.client_stream.replay_buffer import MOST_UNSENT
from streamer.client_stream.stream import URGENT_BYTES
from streamer.http.server import Running
from tests.streamer.support.http_client import Client
from tests.streamer.support.stream_client import streaming
from tests.streamer.support.waiting import LIMIT_S

PING = json.dumps({"type": "ping", "data": "x" * 4096})
UPDATE = json.dumps({"type": "session.update", "controls": {"mouth_opening": 1.0}})


@pytest.mark.parametrize(
    ("message", "count", "answer"), [(PING, URGENT_BYTES // 4096, "pong"), (UPDATE, MOST_UNSENT, "session.updated")]
)
async def test_reading_rests_while_answers_wait(
    client: Client, server: Running, message: str, count: int, answer: str
) -> None:
    async with streaming(client) as streamer:
        stream = server.sessions.all()[0].streaming.stream
        assert stream is not None
        await stream.room()
        for _ in range(count):  # as if the client did not read: nothing is sent between them
            stream.take(message)
        assert not stream._answered.is_set()
        await asyncio.wait_for(stream.room(), LIMIT_S)
        await streamer.one(answer, count=count)


async def test_a_connection_that_is_not_read_is_not_read_either(client: Client, server: Running) -> None:
    async with streaming(client) as streamer:
        transport = streamer.socket._response.connection.transport
        transport.pause_reading()
        stream = server.sessions.all()[0].streaming.stream
        assert stream is not None

        async def ask() -> int:
            count = 0
            while stream._answered.is_set():
                await streamer.socket.send_str(PING)
                count += 1
            return count

        asked = await asyncio.wait_for(ask(), LIMIT_S)
        assert stream._urgent_bytes < URGENT_BYTES + 2 * len(PING)
        transport.resume_reading()
        await streamer.one("pong", count=asked)
