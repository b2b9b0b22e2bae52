"""WHIP: every status, header and method of RFC 9725, and a client with OBS's habits."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiortc import RTCConfiguration

from streamer.config.ice_servers import IceServer
from streamer.config.server_config import ServerConfig
from streamer.http.server import Running, running
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, ask
from tests.streamer.support.offers import offer_of
from tests.streamer.support.peers import Viewer
from tests.streamer.support.sounds import babble
from tests.streamer.support.tracks import Camera, Microphone
from tests.streamer.support.waiting import eventually
from tests.streamer.support.whip_clients import FRAGMENT, SDP, Obs, post, published, watch, without_candidates


@pytest.fixture
def config(config: ServerConfig) -> ServerConfig:
    servers = (IceServer("stun:127.0.0.1:9"), IceServer("turn:127.0.0.1:9?transport=udp", "alice", "s3cret"))
    return dataclasses.replace(config, allow_origins=("https://example.org",), ice_servers=servers)


@pytest.fixture(autouse=True)
def _server_gathers_only_its_own_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The named ICE servers are for the clients of these tests to read, not for the server to wait for."""
    monkeypatch.setattr(
        "streamer.webrtc.connection.RTCConfiguration", lambda iceServers: RTCConfiguration(iceServers=[])
    )


async def test_obs_publishes_and_ends_its_stream(client: Client, server: Running, models: FakeModels) -> None:
    session = await client.create()
    obs = Obs()
    await obs.start(client, session["urls"]["whip"], session["token"])
    await eventually(lambda: bool(models.streams) and models.streams[0].tracked > 20)
    assert (await client.state(session))["state"] == "live"
    await obs.stop(client, session["token"])
    [ours] = server.sessions.all()
    assert ours.connections.publisher is None
    assert ours.state == "live"  # another stream may come
    assert (await ask(client, "DELETE", obs.resource, session["token"])).status == 404


async def test_the_answer_says_where_the_stream_is_and_which_ice_servers_there_are(client: Client) -> None:
    session = await client.create()
    obs = Obs()
    answer = await obs.start(client, session["urls"]["whip"], session["token"])
    assert answer.headers["Content-Type"] == SDP
    assert answer.headers["Location"].startswith(session["urls"]["whip"] + "/")
    assert answer.headers["ETag"].startswith('"')  # a strong one
    assert answer.links == (
        '<stun:127.0.0.1:9>; rel="ice-server"',
        '<turn:127.0.0.1:9?transport=udp>; rel="ice-server"; username="alice"; credential="s3cret"; '
        'credential-type="password"',
    )
    assert session["ice_servers"][1] == {
        "urls": "turn:127.0.0.1:9?transport=udp",
        "username": "alice",
        "credential": "s3cret",
    }
    assert "a=recvonly" in answer.text
    assert "a=sendonly" not in answer.text
    assert "a=candidate:" in answer.text
    await obs.close()


async def test_another_stream_may_follow_and_not_join(client: Client, models: FakeModels) -> None:
    async with published(client) as (session, obs):
        viewer = await watch(client, session)
        await viewer.until(pictures=5)
        second = await post(
            client, session["urls"]["whip"], session["token"], await offer_of("audio", "video", direction="sendonly")
        )
        assert second.status == 409
        await obs.stop(client, session["token"])
        before = len(viewer.pictures)
        await viewer.until(pictures=before + 5)  # the last picture stands in
        again = Obs(Microphone(babble(60)), Camera())
        await again.start(client, session["urls"]["whip"], session["token"])
        tracked = models.streams[0].tracked
        await eventually(lambda: models.streams[0].tracked > tracked + 20)
        before = len(viewer.pictures)
        await viewer.until(pictures=before + 20)
        await viewer.close()
        await again.close()


async def test_a_stream_that_vanishes_makes_room_for_another(client: Client, server: Running) -> None:
    async with published(client) as (session, obs):
        [ours] = server.sessions.all()
        await eventually(lambda: any(one.connected.is_set() for one in ours.connections.all()))
        obs.vanish()
        await eventually(lambda: ours.connections.publisher is None)
        again = Obs()
        await again.start(client, session["urls"]["whip"], session["token"])
        await again.stop(client, session["token"])


async def test_a_session_that_nobody_publishes_to_any_longer_ends(client: Client, server: Running) -> None:
    async with published(client) as (session, obs):
        viewer = await watch(client, session)
        await viewer.until(pictures=2)
        server.sessions.all()[0].attendance.idle_wait = 10**9
        await obs.stop(client, session["token"])
        await eventually(lambda: not server.sessions.all())
        assert server.sessions.ended == {"it had no publisher or viewer any longer": 1}
        await viewer.close()


async def test_options_say_what_may_be_posted_to_pages_of_other_origins(client: Client) -> None:
    session = await client.create()
    preflight = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    answer = await ask(client, "OPTIONS", session["urls"]["whip"], None, headers=preflight)
    assert answer.status == 200
    assert answer.headers["Accept-Post"] == SDP
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    for name in ("Authorization", "Content-Type", "If-Match"):
        assert name in answer.headers["Access-Control-Allow-Headers"]
    assert answer.links == ()  # credentials are for those who may publish
    assert len((await ask(client, "OPTIONS", session["urls"]["whip"], session["token"])).links) == 2
    assert (await ask(client, "OPTIONS", session["urls"]["whip"], "wrong")).status == 403
    answer = await ask(client, "OPTIONS", session["urls"]["whip"] + "/x", None, headers=preflight)
    assert (answer.status, answer.headers["Accept-Patch"]) == (200, FRAGMENT)
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    for name in ("Location", "Link", "ETag"):
        assert name in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
async def test_methods_that_the_rfc_reserves_are_405(client: Client, method: str) -> None:
    session = await client.create()
    answer = await ask(client, method, session["urls"]["whip"], session["token"])
    assert (answer.status, answer.headers["Allow"]) == (405, "OPTIONS,POST")
    answer = await ask(client, method, session["urls"]["whip"] + "/x", session["token"])
    assert (answer.status, answer.headers["Allow"]) == (405, "DELETE,OPTIONS,PATCH")


async def test_who_may_publish(client: Client) -> None:
    session, other = await client.create(), await client.create()
    offer = await offer_of("audio", "video", direction="sendonly")
    answer = await post(client, session["urls"]["whip"], None, offer)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"  # a page may read its failure
    for token in (other["token"], session["view_token"]):
        assert (await post(client, session["urls"]["whip"], token, offer)).status == 403
    gone = session["urls"]["whip"].replace(session["id"], "x" * 22)
    assert (await post(client, gone, session["token"], offer)).status == 404


async def test_offers_that_cannot_be_used_are_refused_and_leave_the_session_as_it_was(client: Client) -> None:
    session = await client.create()
    good = await offer_of("audio", "video", direction="sendonly")
    cases: list[tuple[Any, int, str]] = [
        ("", 400, "no media section"),
        ("hello", 400, "no"),
        ("v=0\r\nm=audio x y z\r\n", 400, "not SDP"),
        (b"v=0\r\n\xff\xfe", 400, "not text"),
        (good.replace("a=ice-pwd", "a=ice-pxd"), 400, "ice-pwd"),
        (good.replace("a=fingerprint", "a=fingerprynt"), 400, "fingerprint"),
        (await offer_of("audio", direction="sendonly"), 406, "no video"),
        (await offer_of("video", direction="sendonly"), 406, "no audio"),
        (await offer_of("audio", "video", direction="recvonly"), 406, "sends no video"),
        (good.replace("opus", "opium"), 406, "Opus"),
        (good.replace("VP8", "VP7").replace("H264", "H263"), 406, "VP8"),
        ("x" * 70_000, 413, "65536"),
    ]
    for sdp, expected, words in cases:
        data = sdp if isinstance(sdp, bytes) else sdp.encode()
        given = {"data": data, "headers": {"Content-Type": SDP}}
        answer = await ask(client, "POST", session["urls"]["whip"], session["token"], **given)
        reason = json.loads(answer.text)["error"]["message"]
        assert (answer.status, words in reason) == (expected, True), (sdp[:60], answer)
    wrong_type = {"data": good, "headers": {"Content-Type": "application/json"}}
    assert (await ask(client, "POST", session["urls"]["whip"], session["token"], **wrong_type)).status == 415
    assert (await client.state(session))["state"] == "new"
    obs = Obs()
    await obs.start(client, session["urls"]["whip"], session["token"])
    await obs.stop(client, session["token"])


async def test_port_0_does_not_refuse_a_section_of_a_bundle(client: Client, models: FakeModels) -> None:
    session = await client.create()
    obs = Viewer(Microphone(babble(30)), Camera())
    head, video = without_candidates(await obs.offer()).split("m=video ", 1)
    port, rest = video.split(" ", 1)
    assert int(port) > 0
    sdp = head + "m=video 0 " + rest.replace("a=rtcp-mux", "a=bundle-only\r\na=rtcp-mux", 1)
    answer = await post(client, session["urls"]["whip"], session["token"], sdp)
    assert answer.status == 201, answer.text
    await obs.take(answer.text)
    await eventually(lambda: bool(models.streams) and models.streams[0].tracked > 5)
    await obs.close()


async def test_candidates_may_come_after_the_offer(client: Client) -> None:
    session = await client.create()
    peer = Viewer(Microphone(babble(30)), Camera())
    offer = await peer.offer()
    answer = await post(client, session["urls"]["whip"], session["token"], without_candidates(offer))
    url, tag = answer.headers["Location"], answer.headers["ETag"]
    wanted = ("a=ice-ufrag:", "a=ice-pwd:", "a=candidate:", "a=mid:", "m=", "a=end-of-candidates")
    fragment = "".join(line for line in offer.splitlines(keepends=True) if line.startswith(wanted))

    async def patch(text: str, token: str | None = session["token"], kind: str = FRAGMENT, **headers: str) -> Any:
        return await ask(client, "PATCH", url, token, data=text, headers={"Content-Type": kind, **headers})

    good = {"If-Match": tag}
    assert (await patch(fragment)).status == 428
    stale = await patch(fragment, **{"If-Match": '"stale"'})
    assert stale.status == 412
    assert "ETag" in json.loads(stale.text)["error"]["message"]
    assert (await patch(fragment, kind="application/sdp", **good)).status == 415
    assert (await patch("nonsense", **good)).status == 400
    assert (await patch("a=ice-ufrag:else\na=ice-pwd:" + "p" * 22, **good)).status == 422
    assert (await patch(fragment, token=None, **good)).status == 401
    assert (await patch(fragment, token=session["view_token"], **good)).status == 403
    many = "a=candidate:1 1 udp 1 10.0.0.1 9 typ host\n" * 65
    assert (await patch(many, **good)).status == 400
    taken = await patch(fragment, **{"If-Match": f'"other", {tag}'})
    assert (taken.status, taken.text, "ETag" in taken.headers) == (204, "", False)
    await peer.take(answer.text)
    await eventually(lambda: peer.connection.connectionState == "connected")
    assert (await patch("a=end-of-candidates", **{"If-Match": "*"})).status == 204  # no restart: no new credentials
    await peer.close()


async def test_a_server_that_stops_or_is_full_says_when_to_come_back(client: Client, server: Running) -> None:
    session = await client.create()
    await client.create()
    full = await ask(client, "POST", "/v1/sessions", None, json={})
    assert (full.status, full.headers["Retry-After"]) == (503, "1")
    server.sessions.draining = True
    answer = await post(
        client, session["urls"]["whip"], session["token"], await offer_of("audio", "video", direction="sendonly")
    )
    assert (answer.status, answer.headers["Retry-After"]) == (503, "10")


@pytest.fixture
async def neighbour(config: ServerConfig) -> AsyncIterator[Client]:
    """A server that sends whom it cannot serve elsewhere."""
    full = dataclasses.replace(config, max_sessions=0, redirect="http://else.example/base/")
    async with running(full, FakeModels) as server, aiohttp.ClientSession() as http:
        await server.loading
        yield Client(http, server.url)


async def test_who_is_not_at_home_here_is_sent_to_the_other_server(neighbour: Client) -> None:
    for method, path in (("POST", "/v1/sessions"), ("POST", "/v1/sessions/abc/whip"), ("POST", "/v1/sessions/a/whep")):
        answer = await ask(neighbour, method, path, "token", json={})
        assert (answer.status, answer.headers["Location"]) == (307, "http://else.example/base" + path)


async def test_obs_follows_to_the_server_that_has_its_session(
    client: Client, config: ServerConfig, models: FakeModels
) -> None:
    elsewhere = dataclasses.replace(config, redirect=client.url)
    async with running(elsewhere, FakeModels) as front:
        await front.loading
        session = await client.create()
        obs = Obs()
        url = front.url.rstrip("/") + session["urls"]["whip"]
        assert (await post(client, url, session["token"], "v=0")).status == 307
        await obs.start(client, url, session["token"])
        await eventually(lambda: bool(models.streams) and models.streams[0].tracked > 5)
        await obs.close()
