"""A client whose network was away comes back to its session with one request, whatever has become of its connection."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from streamer.clock import SECOND_NS
from streamer.http.server import Running
from streamer.session.session import Session
from streamer.webrtc.connections import Connections
from streamer.webrtc.liveness import SILENCE
from tests.streamer.support.http_client import Client, ask
from tests.streamer.support.peers import SilentPeer, Viewer
from tests.streamer.support.sounds import babble
from tests.streamer.support.stream_client import streaming
from tests.streamer.support.tracks import Camera, Microphone
from tests.streamer.support.waiting import eventually
from tests.streamer.support.whip_clients import FRAGMENT, Obs, post, published, watch


def only(server: Running) -> Session:
    [session] = server.sessions.all()
    return session


async def connected(server: Running) -> None:
    await eventually(lambda: all(one.connected.is_set() for one in only(server).connections.all()))


async def patched(client: Client, resource: str, token: str) -> int:
    """The status of what a client sends that would restart ICE."""
    fragment = "a=ice-ufrag:back\na=ice-pwd:" + "p" * 22
    headers = {"Content-Type": FRAGMENT, "If-Match": "*"}
    return (await ask(client, "PATCH", resource, token, data=fragment, headers=headers)).status


async def test_a_publisher_comes_back_before_its_silence_was_noticed(client: Client, server: Running) -> None:
    async with published(client) as (session, obs):
        viewer = await watch(client, session)
        await viewer.until(pictures=5)
        watched, [ours] = only(server), only(server).connections.viewers.values()
        obs.vanish()
        again = Obs(Microphone(babble(60)), Camera())
        await again.start(client, session["urls"]["whip"], session["token"])  # one request, and 201
        assert again.resource != obs.resource
        assert await patched(client, obs.resource, session["token"]) == 404
        assert (await ask(client, "DELETE", obs.resource, session["token"])).status == 404
        await viewer.until(pictures=len(viewer.pictures) + 20)
        assert (only(server), [*only(server).connections.viewers.values()]) == (watched, [ours])
        assert [*only(server).connections.all()] == [ours, only(server).connections.publisher]
        await again.stop(client, session["token"])
        await viewer.close()


async def test_a_publisher_comes_back_when_its_connection_was_freed(client: Client, server: Running) -> None:
    async with streaming(client, source="live") as streamer:
        session = streamer.session
        obs = Obs()
        await obs.start(client, session["urls"]["whip"], session["token"])
        viewer = await watch(client, session)
        await viewer.until(pictures=5)
        obs.vanish()
        await eventually(lambda: only(server).connections.publisher is None)
        assert await patched(client, obs.resource, session["token"]) == 404
        again = Obs(Microphone(babble(60)), Camera())
        await again.start(client, session["urls"]["whip"], session["token"])
        await connected(server)
        await viewer.until(pictures=len(viewer.pictures) + 20)
        await streamer.send(type="ping", data="still here")
        assert (await streamer.one("pong"))["data"] == "still here"
        for peer in (obs, again, viewer):
            await peer.close()


async def test_a_publisher_that_still_sends_keeps_its_place_and_the_other_is_refused_soon(
    client: Client, server: Running
) -> None:
    async with published(client) as (session, _):
        await connected(server)
        publisher = only(server).connections.publisher
        offers = [Obs(Microphone(babble(9)), Camera()) for _ in range(2)]
        texts = [await offer.offer() for offer in offers]
        answers = await asyncio.gather(*(post(client, session["urls"]["whip"], session["token"], one) for one in texts))
        assert [answer.status for answer in answers] == [409, 409]
        assert only(server).connections.publisher is publisher
        for offer in offers:
            await offer.close()


async def test_of_two_that_come_for_a_silent_one_the_first_stays(client: Client, server: Running) -> None:
    async with published(client) as (session, obs):
        await connected(server)
        obs.vanish()
        offers = [Obs(Microphone(babble(9)), Camera()) for _ in range(2)]
        texts = [await offer.offer() for offer in offers]
        answers = await asyncio.gather(*(post(client, session["urls"]["whip"], session["token"], one) for one in texts))
        assert sorted(answer.status for answer in answers) == [201, 409]
        for offer in offers:
            await offer.close()


async def test_a_viewer_comes_back_before_and_after_its_connection_was_freed(client: Client, server: Running) -> None:
    async with published(client) as (session, _):
        first = Viewer(receive=("audio", "video"))
        answer = await post(client, session["urls"]["whep"], session["view_token"], await first.offer())
        await first.take(answer.text)
        await first.until(pictures=2)
        first.vanish()
        second = await watch(client, session)
        await second.until(pictures=2)
        await eventually(lambda: len(only(server).connections.viewers) == 1)
        assert await patched(client, answer.headers["Location"], session["view_token"]) == 404
        third = await watch(client, session)
        await third.until(pictures=2)
        for peer in (first, second, third):
            await peer.close()


async def test_a_restart_gives_a_silent_peer_its_time_again() -> None:
    peer: Any = SilentPeer()
    peer.connected.set()
    connections = Connections(Counter())
    assert await connections.lost(peer, 0) is None
    assert await connections.lost(peer, SILENCE) is None
    connections.restarted(peer)
    assert await connections.lost(peer, SILENCE + SECOND_NS) is None
    assert await connections.lost(peer, 2 * SILENCE + SECOND_NS) is None
    assert await connections.lost(peer, 2 * SILENCE + SECOND_NS + 1) == "the peer fell silent"
