"""An honest session goes on beside the attacks that ``python -m benchmarks.live.attacks`` measures."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from benchmarks.live.hostile import by_http, by_packets, by_stream
from benchmarks.live.hostile.by_packets import Attack
from benchmarks.live.hostile.target import Target
from streamer.config.server_config import ServerConfig
from streamer.http.server import running
from tests.streamer.support.api_keys import Keys
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.honest_session import honest_session
from tests.streamer.support.http_client import Client

MEMORY_MB = 60
"""The most by which the test's process may grow, which is the attacker's too."""

ATTACKS: dict[Attack, str] = {
    by_http.jpeg_scans: ": 400 x ",
    by_http.offers_at_once: "503 x ",
    by_stream.pings_unread: "MB of pings taken",
    by_stream.timed_tiny: "of 22 bytes, ",
    by_packets.nack_flood: "packets of pictures",
    by_packets.sequence_jumps: "60 a second",
    by_packets.many_sources: "refused source x ",
    by_packets.rgb_camera: "pictures {",
    by_packets.byes: "the session is ",
    by_packets.stun_malformed: "refused malformed x ",
    by_packets.stun_of_strangers: "refused error x ",
    by_packets.media_of_strangers: "refused stranger x ",
}
"""Attacks, and a part of what comes of each."""


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
async def test_an_honest_session_goes_on_beside(
    attack: Attack, config: ServerConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_http, "OFFERS", 40)
    monkeypatch.setattr("streamer.webrtc.connections.MOST_VIEWERS", 20)
    monkeypatch.setattr(by_packets, "DATAGRAMS", 2000)
    monkeypatch.setattr(by_packets, "RGB_SIZE", (1280, 720))
    keys = Keys(tmp_path / "keys.json")
    key = keys.add("admin")
    config = replace(config, keys=keys.path, max_sessions=6)
    async with running(config, FakeModels) as server, aiohttp.ClientSession() as http:
        await server.loading
        client = Client(http, server.url)
        async with honest_session(client, key) as honest:
            target = Target(client.url, os.getpid(), key, honest.session, "", http)
            honest.begin()
            assert ATTACKS[attack] in await attack(target, 0.5)
            await honest.goes_on()
            assert honest.felt().memory_mb < MEMORY_MB
