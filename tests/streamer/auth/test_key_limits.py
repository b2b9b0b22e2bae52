"""A key has limits, a restart remembers what was used of them, and a revoked key ends its sessions."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from streamer.auth.usage_file import UsageFile
from streamer.clock import SECOND_NS, unix_now
from streamer.config.server_config import ServerConfig
from streamer.http import server as server_module
from streamer.http.server import Running, running
from tests.streamer.support.api_keys import Keys, make
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, ask
from tests.streamer.support.waiting import eventually


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    keys = Keys(tmp_path / "keys.json")
    keys.add("admin", name="first")
    return keys


@pytest.fixture
def config(config: ServerConfig, keys: Keys) -> ServerConfig:
    return replace(config, keys=keys.path, max_sessions=6, token_seconds=2)


async def test_a_key_has_so_many_sessions_at_a_time(client: Client, keys: Keys) -> None:
    key = keys.add("publish", sessions=2)
    sessions = [(await make(client, key))[1] for _ in range(2)]
    answer = await ask(client, "POST", "/v1/sessions", key, json={})
    assert (answer.status, answer.headers["Retry-After"]) == (429, "10")
    assert (await make(client, keys.add("publish")))[0] == 201
    await ask(client, "DELETE", sessions[0]["urls"]["session"], key)
    assert (await make(client, key))[0] == 201


async def test_a_key_has_so_many_seconds_within_a_day(client: Client, keys: Keys, server: Running) -> None:
    key = keys.add("publish", seconds=1)
    assert (await make(client, key))[0] == 201
    await eventually(lambda: not server.sessions.all())
    assert server.sessions.ended == {"its key has used its seconds": 1}
    status, body = await make(client, key)
    assert status == 429
    assert "1 s" in body["error"]["message"]


async def test_what_a_key_has_used_outlives_the_server(config: ServerConfig, keys: Keys) -> None:
    key, other = keys.add("publish", seconds=1), keys.add("publish", seconds=1)
    async with running(config, FakeModels) as server, aiohttp.ClientSession() as http:
        await server.loading
        assert (await make(Client(http, server.url), key))[0] == 201
        await eventually(lambda: not server.sessions.all())
    path = keys.path.with_name("keys.used.json")
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(one.name for one in path.parent.glob("*keys*")) == ["keys.json", "keys.used.json"]
    async with running(config, FakeModels) as server, aiohttp.ClientSession() as http:
        await server.loading
        assert (await make(Client(http, server.url), key))[0] == 429
        assert (await make(Client(http, server.url), other))[0] == 201


async def test_what_a_running_session_uses_is_kept_if_the_server_is_killed(
    config: ServerConfig, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "SAVE_PAUSE", SECOND_NS // 5)
    key, config = keys.add("publish", seconds=600), replace(config, usage=tmp_path / "used.json")
    copy = tmp_path / "as it was.json"
    async with running(config, FakeModels) as server, aiohttp.ClientSession() as http:
        await server.loading
        assert (await make(Client(http, server.url), key))[0] == 201
        kept = UsageFile(config.usage)
        await eventually(lambda: sum(seconds for _, seconds in kept.read(unix_now()).get(key[7:15], [])) > 1)
        copy.write_bytes((tmp_path / "used.json").read_bytes())
        assert server.sessions.all()
    keys.limit(key, seconds=1)
    async with running(replace(config, usage=copy), FakeModels) as server, aiohttp.ClientSession() as http:
        await server.loading
        assert (await make(Client(http, server.url), key))[0] == 429


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"used": []}', '{"used": {"k": 1}}', '{"used": {"0123abcd": [[1, NaN]]}}', "[" * 90_000, "\xff"],
)
async def test_a_broken_file_of_what_was_used_is_reported_and_replaced(
    config: ServerConfig, keys: Keys, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    key, path = keys.add("publish", seconds=600), keys.path.with_name("keys.used.json")
    path.write_text(text, "latin-1")
    async with running(config, FakeModels) as server, aiohttp.ClientSession() as http:
        await server.loading
        assert "keys.used.json cannot be read" in caplog.text
        assert (await make(Client(http, server.url), key))[0] == 201
        await asyncio.sleep(0.05)
    assert list(UsageFile(path).read(unix_now())) == [key[7:15]]


async def test_where_nothing_can_be_written_that_is_reported_once_and_sessions_go_on(
    config: ServerConfig, keys: Keys, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "SAVE_PAUSE", SECOND_NS // 5)
    config = replace(config, usage=tmp_path / "no such folder" / "used.json")
    async with running(config, FakeModels) as server, aiohttp.ClientSession() as http:
        await server.loading
        assert (await make(Client(http, server.url), keys.add("publish", seconds=600)))[0] == 201
        await eventually(lambda: "will be forgotten" in caplog.text)
        await asyncio.sleep(1)  # more attempts
        assert server.sessions.all()
    assert caplog.text.count("will be forgotten") == 1


async def test_a_key_has_so_many_requests_a_minute(client: Client, keys: Keys) -> None:
    key = keys.add("publish", requests=5)
    statuses = [(await ask(client, "GET", "/v1/sessions/x", key)).status for _ in range(7)]
    assert statuses == [404] * 5 + [429] * 2
    assert (await ask(client, "GET", "/v1/sessions/x", None)).status == 404


async def test_a_revoked_key_ends_its_sessions(client: Client, keys: Keys, server: Running) -> None:
    key = keys.add("publish")
    assert (await make(client, key))[0] == 201
    keys.revoke(key)
    assert (await make(client, key))[0] == 401
    await eventually(lambda: not server.sessions.all())
    assert server.sessions.ended == {"its key was revoked": 1}
