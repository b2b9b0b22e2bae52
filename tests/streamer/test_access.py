"""Who may do what on a server with keys, by every door: HTTP, WHIP, WHEP, calls, WebSockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fakes import Client, FakeModels, eventually
from streams import ask
from test_api import offer_of

from mytalk.errors import ServerError
from streamer import server as server_module
from streamer.clock import SECOND_NS, unix_now
from streamer.config import ServerConfig
from streamer.keys import make_key, read_keys, write_keys
from streamer.server import Running, running
from streamer.usage import UsageFile


class Keys:
    """A file of keys and the keys themselves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ids: dict[str, str] = {}

    def add(self, *scopes: str, name: str = "key", **limits: int) -> str:
        known = list(read_keys(self.path).values()) if self.path.exists() else []
        key, text = make_key(name, scopes, **limits)
        write_keys(self.path, [*known, key])
        return text

    def limit(self, text: str, seconds: int) -> None:
        known = read_keys(self.path).values()
        write_keys(self.path, [replace(key, seconds=seconds) if key.id in text else key for key in known])

    def revoke(self, text: str) -> None:
        write_keys(self.path, [key for key in read_keys(self.path).values() if key.id != text.split("_")[1]])


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    keys = Keys(tmp_path / "keys.json")
    keys.add("admin", name="first")
    return keys


@pytest.fixture
def config(config: ServerConfig, keys: Keys) -> ServerConfig:
    return replace(config, keys=keys.path, max_sessions=6, token_seconds=2)


async def make(client: Client, key: str | None, **options: object) -> tuple[int, dict[str, Any]]:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with client.http.post(f"{client.url}/v1/sessions", json=options, headers=headers) as response:
        return response.status, dict(await response.json())


async def stream_code(client: Client, session: dict[str, Any], *protocols: str, **headers: str) -> str:
    """What a WebSocket says first: the type of its message, or the code of its error."""
    url = client.url + session["urls"]["stream"]
    async with client.http.ws_connect(url, protocols=("mytalk.v1", *protocols), headers=headers) as socket:
        message = await socket.receive_json()
        return str(message.get("code", message["type"]))


async def test_without_a_key_with_a_wrong_one_and_with_a_wrong_scope_no_session_is_made(
    client: Client, keys: Keys
) -> None:
    wrong = make_key("never added", ["admin"])[1]
    for key, expected in (
        (None, 401),
        ("nonsense", 401),
        (wrong, 401),
        (keys.add("view"), 403),
        (keys.add("metrics"), 403),
    ):
        status, body = await make(client, key)
        assert status == expected, (key, body)
        assert key is None or key not in str(body)
    assert (await make(client, keys.add("publish")))[0] == 201
    assert (await make(client, keys.add("admin")))[0] == 201


async def test_a_key_owns_what_it_made_and_nothing_else(client: Client, keys: Keys) -> None:
    mine, other, viewer, admin = keys.add("publish"), keys.add("publish"), keys.add("view"), keys.add("admin")
    _, session = await make(client, mine)
    path = session["urls"]["session"]
    for key, expected in ((mine, 200), (admin, 200), (other, 403), (viewer, 403), (keys.add("metrics"), 403)):
        assert (await ask(client, "GET", path, key)).status == expected
    for key, expected in ((mine, 409), (admin, 409), (viewer, 409), (other, 403)):  # 409: allowed, but nothing is live
        sdp = (await offer_of("audio", "video", direction="recvonly")).encode()
        answer = await ask(
            client, "POST", session["urls"]["whep"], key, data=sdp, headers={"Content-Type": "application/sdp"}
        )
        assert answer.status == expected, (key, answer.text)
    assert (await ask(client, "DELETE", path, other)).status == 403
    assert (await ask(client, "DELETE", path, admin)).status == 200


async def test_a_key_is_shown_its_own_sessions_and_an_admin_all(client: Client, keys: Keys) -> None:
    mine, other, admin = keys.add("publish"), keys.add("publish"), keys.add("admin")
    (_, one), (_, two) = await make(client, mine), await make(client, other, source="portrait", speech="stream")
    for key, expected in ((mine, {one["id"]}), (other, {two["id"]}), (admin, {one["id"], two["id"]})):
        answer = await ask(client, "GET", "/v1/sessions", key)
        listed = json.loads(answer.text)["sessions"]
        assert {session["id"] for session in listed} == expected
        assert not any(session["token"] in answer.text for session in (one, two))
    shown = next(session for session in listed if session["id"] == two["id"])
    assert 0 <= shown.pop("age_ms") < 60_000
    expected_two = {"id": two["id"], "state": "new", "source": "portrait", "speech": "stream", "viewers": 0}
    assert shown == expected_two | {"rung": "full", "key": other.split("_")[1]}
    for bearer, status in ((None, 401), (one["token"], 401), (keys.add("view"), 403), (keys.add("metrics"), 403)):
        assert (await ask(client, "GET", "/v1/sessions", bearer)).status == status
    assert (await ask(client, "DELETE", f"/v1/sessions/{two['id']}", admin)).status == 200


async def test_every_door_wants_this_sessions_token(client: Client, keys: Keys) -> None:
    key = keys.add("publish")
    (_, mine), (_, other) = await make(client, key, speech="stream"), await make(client, key)
    sdp = (await offer_of("audio", "video")).encode()
    given: dict[str, Any] = {"data": sdp, "headers": {"Content-Type": "application/sdp"}}
    doors = [("POST", name, given) for name in ("whip", "whep", "webrtc")]
    doors += [("POST", name, {"json": {}}) for name in ("clear", "tokens")]
    doors += [("POST", "tokens", {"json": {"right": right}}) for right in ("own", "publish")]
    doors += [("GET", "session", {}), ("DELETE", "session", {})]
    for method, name, body in doors:
        url = mine["urls"][name]
        assert (await ask(client, method, url, None, **body)).status == 401, name
        assert (await ask(client, method, url, other["token"], **body)).status == 403, name
        assert (await ask(client, method, url, "garbage", **body)).status == 403, name
        if name != "whep":
            assert (await ask(client, method, url, mine["view_token"], **body)).status == 403, name
    for resource in ("whip/x", "whep/x"):
        for method in ("PATCH", "DELETE"):
            url = f"{mine['urls']['session']}/{resource}"
            assert (await ask(client, method, url, other["token"])).status == 403
            assert (await ask(client, method, url, mine["token"])).status == 404
    assert await stream_code(client, mine) == "not_authorized"
    assert await stream_code(client, mine, f"mytalk.token.{other['token']}") == "forbidden"
    assert await stream_code(client, mine, f"mytalk.token.{mine['view_token']}") == "forbidden"
    assert await stream_code(client, mine, f"mytalk.token.{mine['token']}") == "session.created"


async def test_a_token_is_never_read_from_a_url(client: Client, keys: Keys) -> None:
    _, session = await make(client, keys.add("publish"))
    for name in ("token", "access_token", "key"):
        url = f"{session['urls']['session']}?{name}={session['token']}"
        assert (await ask(client, "GET", url, None)).status == 401


async def test_a_token_expires_and_a_key_gives_another(client: Client, keys: Keys, server: Running) -> None:
    key = keys.add("publish")
    _, session = await make(client, key, speech="stream")
    assert session["expires_in"] == 2
    path = session["urls"]["session"]
    assert (await ask(client, "GET", path, session["token"])).status == 200
    async with asyncio.timeout(20):
        while (answer := await ask(client, "GET", path, session["token"])).status == 200:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')
    assert "expired" in answer.text
    assert await stream_code(client, session, f"mytalk.token.{session['token']}") == "expired"
    renewed = await ask(client, "POST", session["urls"]["tokens"], key, json={"right": "own"})
    assert renewed.status == 201
    async with client.http.post(
        client.url + session["urls"]["tokens"], json={"right": "publish"}, headers={"Authorization": f"Bearer {key}"}
    ) as response:
        token = (await response.json())["token"]
    assert (await ask(client, "GET", path, token)).status == 403  # it may publish, and nothing else
    sdp = (await offer_of("video")).encode()
    headers = {"Content-Type": "application/sdp"}
    assert (await ask(client, "POST", session["urls"]["whip"], token, data=sdp, headers=headers)).status == 201
    for body in ({"right": "admin"}, {"right": "own", "x": 1}, [], {"right": ["own"]}):
        assert (await ask(client, "POST", session["urls"]["tokens"], key, json=body)).status == 400


async def renewed(client: Client, session: dict[str, Any], bearer: str, right: str) -> str:
    headers = {"Authorization": f"Bearer {bearer}"}
    async with client.http.post(
        client.url + session["urls"]["tokens"], json={"right": right}, headers=headers
    ) as answer:
        return str((await answer.json())["token"]) if answer.status == 201 else str(answer.status)


async def test_a_token_gives_another_like_itself_and_nothing_more(client: Client, keys: Keys) -> None:
    key = keys.add("publish")
    _, mine = await make(client, key)
    _, other = await make(client, key)
    tokens = {"view": mine["view_token"], "publish": await renewed(client, mine, mine["token"], "publish")}
    for right, token in tokens.items():
        again = await renewed(client, mine, token, right)
        assert again[0] == right[0]
        assert (await renewed(client, mine, again, right))[0] == right[0]
        for more in {"own", "publish", "view"} - {right}:
            assert await renewed(client, mine, again, more) == "403", (right, more)
        assert await renewed(client, other, again, right) == "403"
        assert await renewed(client, other, token, right) == "403"
        assert await renewed(client, mine, again[:-1], right) == "403"
        assert (await ask(client, "GET", mine["urls"]["session"], again)).status == 403
    forged = "o" + tokens["view"][1:]
    assert await renewed(client, mine, forged, "own") == "403"
    viewers = keys.add("view")  # a key can be revoked: it gets no token that outlives it
    assert await renewed(client, mine, viewers, "view") == "403"


async def test_a_viewer_renews_in_time_or_not_at_all(config: ServerConfig, keys: Keys) -> None:
    config = replace(config, token_seconds=5)
    async with running(config, FakeModels) as server, aiohttp.ClientSession() as http:
        await server.loading
        client = Client(http, server.url)
        _, session = await make(client, keys.add("publish"))
        token = session["view_token"]
        for _ in range(4):  # longer than one token lives
            await asyncio.sleep(1.5)
            token = await renewed(client, session, token, "view")
            assert token.startswith("v")
        assert await renewed(client, session, session["view_token"], "view") == "401"
        await server.sessions.all()[0].end("it is over")
        await eventually(lambda: not server.sessions.all(), seconds=20)
        assert await renewed(client, session, token, "view") == "404"


async def test_a_viewer_s_page_of_another_origin_may_renew(client: Client, keys: Keys) -> None:
    _, session = await make(client, keys.add("publish"))
    before = await ask(client, "OPTIONS", session["urls"]["tokens"], None, headers={"Origin": "https://else.example"})
    assert before.status == 200
    assert "Authorization" in before.headers["Access-Control-Allow-Headers"]
    answer = await ask(client, "POST", session["urls"]["tokens"], session["view_token"], json={"right": "view"})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (201, "*")
    assert answer.headers["Cache-Control"] == "no-store"


async def test_metrics_want_a_key_and_health_does_not(client: Client, keys: Keys) -> None:
    assert (await ask(client, "GET", "/healthz", None)).status == 200
    assert (await ask(client, "GET", "/readyz", None)).status == 200
    for key, expected in (
        (None, 401),
        (keys.add("publish"), 403),
        (keys.add("metrics"), 200),
        (keys.add("admin"), 200),
    ):
        assert (await ask(client, "GET", "/metrics", key)).status == expected


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
    await eventually(lambda: not server.sessions.all(), seconds=10)
    assert server.sessions.ended == {"its key has used its seconds": 1}
    status, body = await make(client, key)
    assert status == 429
    assert "1 s" in body["error"]["message"]


async def test_what_a_key_has_used_outlives_the_server(config: ServerConfig, keys: Keys) -> None:
    key, other = keys.add("publish", seconds=1), keys.add("publish", seconds=1)
    async with running(config, FakeModels) as server, aiohttp.ClientSession() as http:
        await server.loading
        assert (await make(Client(http, server.url), key))[0] == 201
        await eventually(lambda: not server.sessions.all(), seconds=10)
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
        await eventually(lambda: sum(seconds for _, seconds in kept.read(unix_now()).get(key[7:15], [])) > 1, 10)
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
async def test_a_broken_file_of_what_was_used_is_told_and_replaced(
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


async def test_where_nothing_can_be_written_that_is_told_once_and_sessions_go_on(
    config: ServerConfig, keys: Keys, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "SAVE_PAUSE", SECOND_NS // 5)
    config = replace(config, usage=tmp_path / "no such folder" / "used.json")
    async with running(config, FakeModels) as server, aiohttp.ClientSession() as http:
        await server.loading
        assert (await make(Client(http, server.url), keys.add("publish", seconds=600)))[0] == 201
        await eventually(lambda: "will be forgotten" in caplog.text, seconds=10)
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
    await eventually(lambda: not server.sessions.all(), seconds=10)
    assert server.sessions.ended == {"its key was revoked": 1}


@pytest.fixture
async def brief(config: ServerConfig, models: FakeModels) -> AsyncIterator[tuple[Client, Running]]:
    """A server of short sessions, without keys."""
    config = replace(config, keys=None, session_seconds=1)
    async with running(config, lambda: models) as server, aiohttp.ClientSession() as http:
        await server.loading
        yield Client(http, server.url), server


async def test_a_session_has_a_longest_time(brief: tuple[Client, Running]) -> None:
    client, server = brief
    await client.create()
    await eventually(lambda: not server.sessions.all(), seconds=10)
    assert server.sessions.ended == {"it reached its longest time": 1}


async def test_a_server_for_its_own_machine_answers_to_no_other_name(brief: tuple[Client, Running]) -> None:
    client, _ = brief
    for host, expected in (("evil.example", 403), ("localhost:99", 200), ("127.0.0.1", 200), ("localhost.evil", 403)):
        answer = await ask(client, "GET", "/healthz", None, headers={"Host": host})
        assert answer.status == expected, host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.invalid"])
async def test_a_server_for_other_machines_wants_keys_or_to_be_told(config: ServerConfig, host: str) -> None:
    with pytest.raises(ServerError, match="--allow-anyone"):
        async with running(replace(config, keys=None, host=host), FakeModels):
            pass


async def test_being_told_is_enough(config: ServerConfig, models: FakeModels) -> None:
    open_to_all = replace(config, keys=None, host="0.0.0.0", allow_anyone=True)
    async with running(open_to_all, lambda: models) as server, aiohttp.ClientSession() as http:
        await server.loading
        assert (await make(Client(http, server.url), None))[0] == 201
