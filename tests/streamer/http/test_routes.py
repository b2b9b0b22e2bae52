"""The HTTP routes: what a client may do, and the errors that it gets when it may not."""

from __future__ import annotations

import asyncio
from typing import Any

from mytalk.errors import InputError
from streamer.config.server_config import ServerConfig
from streamer.http.server import Running, running
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, bearer, call, reason, request
from tests.streamer.support.offers import offer_of
from tests.streamer.support.peers import Viewer
from tests.streamer.support.sounds import babble
from tests.streamer.support.tracks import Camera, Microphone
from tests.streamer.support.waiting import LIMIT_S, eventually


async def test_a_session_says_where_it_is_who_may_use_it_and_that_it_is_synthetic(client: Client) -> None:
    status, body, headers = await request(client, "POST", "/v1/sessions", json={})
    assert status == 201
    assert set(body) == {"id", "state", "token", "view_token", "expires_in", "urls", "ice_servers", "disclosure"}
    assert "synthetic" in body["disclosure"]
    assert len(body["id"]) >= 20
    assert headers["Location"] == body["urls"]["session"]
    status, state, _ = await request(client, "GET", body["urls"]["session"], headers=bearer(body))
    assert (status, state["state"]) == (200, "new")
    status, ended, _ = await request(client, "DELETE", body["urls"]["session"], headers=bearer(body))
    assert (status, ended["state"]) == (200, "closed")
    assert (await request(client, "GET", body["urls"]["session"], headers=bearer(body)))[0] == 404


async def test_wrong_content_types_are_415(client: Client) -> None:
    status, answer, _ = await request(client, "POST", "/v1/sessions", data="{}", headers={"Content-Type": "text/plain"})
    assert status == 415
    assert "application/json" in reason(answer)
    session = await client.create()
    status, answer, _ = await request(
        client,
        "POST",
        session["urls"]["webrtc"],
        data="v=0",
        headers={**bearer(session), "Content-Type": "text/plain"},
    )
    assert status == 415
    assert "application/sdp" in reason(answer)


async def test_a_session_is_its_owners_alone(client: Client) -> None:
    mine, other = await client.create(), await client.create()
    for method, path in (("GET", "session"), ("DELETE", "session"), ("POST", "webrtc")):
        url = mine["urls"][path]
        status, answer, headers = await request(client, method, url)
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        assert "Bearer" in reason(answer)
        assert (await request(client, method, url, headers={"Authorization": "Basic abc"}))[0] == 401
        assert (await request(client, method, url, headers=bearer(other)))[0] == 403
        unknown = url.replace(mine["id"], "x" * 22)
        assert (await request(client, method, unknown, headers=bearer(mine)))[0] == 404
    assert (await client.state(mine))["state"] == "new"


async def test_bad_offers_are_refused_and_leave_the_session_as_it_was(client: Client, server: Running) -> None:
    session = await client.create()
    good = await offer_of("audio", "video")
    cases: list[tuple[Any, int, str]] = [
        ("", 400, "no media section"),
        ("not sdp at all", 400, "no"),
        ("v=0\r\nm=audio x y z\r\n", 400, "not SDP"),
        (good.replace("a=ice-pwd", "a=ice-pxd"), 400, "ice-pwd"),
        (good.replace("a=fingerprint", "a=fingerprynt"), 400, "fingerprint"),
        (good.replace("a=rtcp-mux\r\n", ""), 400, "RTCP mux"),
        (await offer_of("video"), 406, "no audio"),
        (await offer_of("audio"), 406, "no video"),
        (await offer_of("audio", "video", direction="recvonly"), 406, "sends no audio"),
        (await offer_of("audio", "audio", "video"), 400, "at most one"),
        (good.replace("opus", "opium"), 406, "Opus"),
        (good.replace("VP8", "VP7").replace("H264", "H263"), 406, "VP8"),
        (
            good + "".join(f"a=candidate:1 1 udp 1 10.0.{n // 250}.{n % 250} 9 typ host\r\n" for n in range(70)),
            400,
            "64",
        ),
        ("x" * 70_000, 413, "65536"),
    ]
    for sdp, expected, words in cases:
        headers = {**bearer(session), "Content-Type": "application/sdp"}
        status, answer, _ = await request(client, "POST", session["urls"]["webrtc"], data=sdp, headers=headers)
        assert (status, words in reason(answer)) == (expected, True), (sdp[:60], status, answer)
    for body in ('{"sdp": 1, "type": "offer"}', '{"sdp": "v=0"}', "[]", "nope"):
        headers = {**bearer(session), "Content-Type": "application/json"}
        assert (await request(client, "POST", session["urls"]["webrtc"], data=body, headers=headers))[0] == 400
    assert (await client.state(session))["state"] == "new"
    viewer = Viewer(Microphone(babble(1)), Camera())
    await client.connect(session, viewer)
    await viewer.until(sounds=5)
    await viewer.close()


async def test_an_offer_as_sdp_is_answered_as_sdp(client: Client) -> None:
    session = await client.create()
    viewer = Viewer(Microphone(babble(1)), Camera())
    headers = {**bearer(session), "Content-Type": "application/sdp"}
    url = client.url + session["urls"]["webrtc"]
    async with client.http.post(url, data=await viewer.offer(), headers=headers) as response:
        assert (response.status, response.content_type) == (201, "application/sdp")
        await viewer.take(await response.text())
    await viewer.until(sounds=5)
    await viewer.close()


async def test_a_second_offer_on_one_session_is_a_conflict(client: Client) -> None:
    async with call(client, Microphone(babble(1)), Camera()) as (session, viewer):
        offer = {"type": "offer", "sdp": await offer_of("audio", "video")}
        answers = await asyncio.gather(
            *(request(client, "POST", session["urls"]["webrtc"], json=offer, headers=bearer(session)) for _ in range(3))
        )
        assert [status for status, _, _ in answers] == [409] * 3
        assert "its call already" in reason(answers[0][1])
        await viewer.until(sounds=5)


async def test_two_offers_at_once_make_one_connection(client: Client) -> None:
    session = await client.create()
    offers = [{"type": "offer", "sdp": await offer_of("audio", "video")} for _ in range(2)]
    answers = await asyncio.gather(
        *(request(client, "POST", session["urls"]["webrtc"], json=o, headers=bearer(session)) for o in offers)
    )
    assert sorted(status for status, _, _ in answers) == [201, 409]


async def test_no_room_is_503_with_a_time_to_come_back(client: Client) -> None:
    sessions = [await client.create() for _ in range(2)]
    status, answer, headers = await request(client, "POST", "/v1/sessions", json={})
    assert (status, headers["Retry-After"]) == (503, "1")
    assert "all 2 sessions are taken" in reason(answer)
    await request(client, "DELETE", sessions[0]["urls"]["session"], headers=bearer(sessions[0]))
    await client.create()


async def test_what_a_session_cost_is_forgotten_with_it(client: Client, models: FakeModels, server: Running) -> None:
    server.engine.load.on_device = frozenset({"engine"})  # counts what the fake waits for as work
    models.cost = 0.035  # of 0.04 s
    async with call(client, Microphone(babble(1)), Camera()) as (_, viewer):
        await viewer.until(pictures=100)
        assert (await request(client, "POST", "/v1/sessions", json={}))[0] == 503
    await eventually(lambda: not server.sessions.all())
    models.cost = 0
    async with call(client, Microphone(babble(1)), Camera()) as (_, viewer):
        await viewer.until(pictures=2)
        assert (await request(client, "POST", "/v1/sessions", json={}))[0] == 201


async def test_a_session_that_would_break_the_others_is_refused_with_the_reason(
    client: Client, models: FakeModels, server: Running
) -> None:
    server.engine.load.on_device = frozenset({"engine"})  # counts what the fake waits for as work
    models.cost = 0.03  # of 0.04 s
    async with call(client, Microphone(babble(1)), Camera()) as (_, viewer):
        await viewer.until(pictures=100)
        status, answer, headers = await request(client, "POST", "/v1/sessions", json={})
        assert (status, headers["Retry-After"]) == (503, "1")
        assert "the engine" in reason(answer)
        models.streams[0].cost = 0.0
        async with asyncio.timeout(LIMIT_S):  # a busy machine takes long to catch up
            while (await request(client, "POST", "/v1/sessions", json={}))[0] != 201:  # noqa: ASYNC110
                await asyncio.sleep(0.5)


async def test_while_the_models_load_sessions_are_refused_and_readyz_says_so(config: ServerConfig) -> None:
    import threading

    import aiohttp

    go = threading.Event()

    def load() -> FakeModels:
        go.wait(LIMIT_S)
        return FakeModels()

    async with running(config, load) as server, aiohttp.ClientSession() as http:
        client = Client(http, server.url)
        assert (await request(client, "GET", "/healthz"))[0] == 200
        assert (await request(client, "GET", "/readyz"))[:2] == (503, {"status": "loading"})
        status, answer, headers = await request(client, "POST", "/v1/sessions", json={})
        assert (status, headers["Retry-After"]) == (503, "2")
        assert "loaded" in reason(answer)
        go.set()
        await server.loading
        assert (await request(client, "GET", "/readyz"))[:2] == (200, {"status": "ready"})


async def test_a_portrait_that_cannot_be_read_is_reported(models: FakeModels, tmp_path: Any) -> None:
    import aiohttp

    config = ServerConfig(port=0, portrait=tmp_path / "missing.png")
    async with running(config, lambda: models) as server, aiohttp.ClientSession() as http:
        await server.loading
        status, answer, _ = await request(Client(http, server.url), "POST", "/v1/sessions", json={"source": "portrait"})
        assert status == InputError.http_status
        assert "missing.png" in reason(answer)


async def test_unknown_routes_and_methods_answer_in_json(client: Client) -> None:
    assert (await request(client, "GET", "/v2"))[0] == 404
    status, answer, headers = await request(client, "PUT", "/v1/sessions")
    assert (status, headers["Allow"]) == (405, "GET,HEAD,OPTIONS,POST")
    assert reason(answer)
    for path in ("/v1/sessions/..%2f..%2fetc", "/v1/sessions/%00", "/page.py", "/../config.py"):
        assert (await request(client, "GET", path))[0] == 404


async def test_the_page_comes_with_the_server(client: Client) -> None:
    for path, kind in (("/", "text/html"), ("/page.js", "javascript"), ("/page.css", "text/css")):
        async with client.http.get(client.url + path) as response:
            assert response.status == 200
            assert kind in response.headers["Content-Type"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
