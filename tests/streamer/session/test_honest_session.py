"""The honest session of the tests feels what holds the server, and nothing where nothing does."""

from __future__ import annotations

import time

from tests.streamer.support.honest_session import honest_session
from tests.streamer.support.http_client import Client


async def test_an_honest_session_feels_a_held_loop_and_goes_on_after_it(client: Client) -> None:
    async with honest_session(client) as honest:
        time.sleep(0.5)  # noqa: ASYNC251 (holds the loop, as an attack does)
        await honest.goes_on()
        held = honest.felt()
        assert held.sound_gap_ms >= 450
        assert held.picture_gap_ms >= 450
        honest.begin()
        await honest.goes_on(pictures=25)
        calm = honest.felt()
    assert calm.files == 0
    assert honest.socket.close_code == 1000


async def test_an_honest_session_leaves_the_server_empty(client: Client) -> None:
    async with honest_session(client):
        assert (await client.figures())['mytalk_sessions{state="live"}'] == 1
    figures = await client.figures()
    assert sum(value for name, value in figures.items() if name.startswith("mytalk_sessions{")) == 0
