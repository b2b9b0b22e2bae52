"""A server with keys checks every entry: HTTP, WHIP, WHEP, calls, WebSockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mytalk.errors import ServerError
from streamer.auth.api_keys import make_key
from streamer.config.server_config import ServerConfig
from streamer.http.server import Running, running
from tests.streamer.support.api_keys import Keys, make
from tests.streamer.support.clocks import ShiftedClock
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, ask
from tests.streamer.support.offers import offer_of
from tests.streamer.support.waiting import eventually

LIFE_S = 60
"""How long a token lives on this server, by its clock."""


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
async def server(config: ServerConfig, models: FakeModels, clock: ShiftedClock) -> AsyncIterator[Running]:
    async with running(config, lambda: models, clock) as server:
        await server.loading
        yield server


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    keys = Keys(tmp_path / "keys.json")
    keys.add("admin", name="first")
    return keys


@pytest.fixture
def config(config: ServerConfig, keys: Keys) -> ServerConfig:
    return replace(config, keys=keys.path, max_sessions=6, token_seconds=LIFE_S)


async def stream_code(client: Client, session: dict[str, Any], *protocols: str, **headers: str) -> str:
    """Returns what a WebSocket says first: the type of its message, or the code of its error."""
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


async def test_every_route_wants_this_sessions_token(client: Client, keys: Keys) -> None:
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


async def test_a_token_expires_and_a_key_gives_another(
    client: Client, keys: Keys, server: Running, clock: ShiftedClock
) -> None:
    key = keys.add("publish")
    _, session = await make(client, key, speech="stream")
    assert session["expires_in"] == LIFE_S
    path = session["urls"]["session"]
    assert (await ask(client, "GET", path, session["token"])).status == 200
    clock.skip(LIFE_S)
    answer = await ask(client, "GET", path, session["token"])
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


async def test_a_viewer_renews_in_time_or_not_at_all(
    client: Client, keys: Keys, server: Running, clock: ShiftedClock
) -> None:
    _, session = await make(client, keys.add("publish"))
    token = session["view_token"]
    for _ in range(4):  # longer than one token lives
        clock.skip(LIFE_S // 3)
        token = await renewed(client, session, token, "view")
        assert token.startswith("v")
    assert await renewed(client, session, session["view_token"], "view") == "401"
    await server.sessions.all()[0].end("it is over")
    await eventually(lambda: not server.sessions.all())
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
    await eventually(lambda: not server.sessions.all())
    assert server.sessions.ended == {"it reached its longest time": 1}


async def test_a_server_for_its_own_machine_answers_to_no_other_name(brief: tuple[Client, Running]) -> None:
    client, _ = brief
    for host, expected in (("evil.example", 403), ("localhost:99", 200), ("127.0.0.1", 200), ("localhost.evil", 403)):
        answer = await ask(client, "GET", "/healthz", None, headers={"Host": host})
        assert answer.status == expected, host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.invalid"])
async def test_a_server_for_other_machines_wants_keys_or_a_flag(config: ServerConfig, host: str) -> None:
    with pytest.raises(ServerError, match="--allow-anyone"):
        async with running(replace(config, keys=None, host=host), FakeModels):
            pass


async def test_the_flag_is_enough(config: ServerConfig, models: FakeModels) -> None:
    open_to_all = replace(config, keys=None, host="0.0.0.0", allow_anyone=True)
    async with running(open_to_all, lambda: models) as server, aiohttp.ClientSession() as http:
        await server.loading
        assert (await make(Client(http, server.url), None))[0] == 201
