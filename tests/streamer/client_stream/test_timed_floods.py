"""Speech for pictures that comes again and again takes no more memory, and holds up nobody."""

from __future__ import annotations

from streamer.protocol.packets import Flags, Kind, Packet
from tests.streamer.support.honest_session import honest_session
from tests.streamer.support.http_client import Client
from tests.streamer.support.stream_client import streaming

AHEAD = 45 * 16_000  # media time


async def test_an_honest_session_goes_on_beside_a_flood(client: Client) -> None:
    message = Packet(Kind.SPEECH_PCM16, 0, AHEAD, b"\1\0" * 470_000, Flags.TIMED).to_bytes()
    async with honest_session(client) as honest, streaming(client) as streamer:
        await streamer.begin()
        honest.begin()
        for _ in range(100):
            await streamer.socket.send_bytes(message)
        await streamer.send(type="ping")
        await streamer.one("pong")
        await honest.goes_on()
        felt = honest.felt()
    assert not streamer.all("error")
    assert felt.memory_mb < 60
