"""ICE restarts: new credentials and a new path, while the same media goes on."""

from __future__ import annotations

import asyncio
from typing import Any

from aioice import Candidate
from aioice.ice import CandidatePair
from aiortc import RTCIceGatherer, RTCIceTransport

from streamer.http.server import Running
from streamer.webrtc.aiortc_internals import ice_restart
from streamer.webrtc.connection import RESTART_PAUSE, RESTARTS_AT_ONCE
from streamer.webrtc.sdp_fragment import read_fragment, write_fragment
from tests.streamer.support.aiortc_peer import ice_transport
from tests.streamer.support.http_client import Client, ask
from tests.streamer.support.peers import Viewer
from tests.streamer.support.waiting import eventually
from tests.streamer.support.whip_clients import FRAGMENT, Obs, post, published, watch


async def restart(client: Client, location: str, token: str, peer: Viewer) -> Any:
    """The client's side of a restart: RFC 9725, 4.3.3. Gives the server's answer."""
    transport = ice_transport(peer.connection)
    ice_restart.renew(transport, "unknown", "u" * 22)
    ice, candidates = transport._connection, transport.iceGatherer.getLocalCandidates()
    mine = write_fragment(ice.local_username, ice.local_password, "0", candidates)
    answer = await ask(client, "PATCH", location, token, data=mine, headers={"Content-Type": FRAGMENT, "If-Match": "*"})
    if answer.status == 200:
        theirs = read_fragment(answer.text)
        ice.remote_username, ice.remote_password = theirs.username, theirs.password
        for candidate in theirs.candidates:
            await peer.connection.addIceCandidate(candidate)
    return answer


async def test_media_goes_on_over_a_new_path(client: Client, server: Running) -> None:
    async with published(client) as (session, _):
        viewer = Viewer(receive=("audio", "video"))
        answer = await post(client, session["urls"]["whep"], session["view_token"], await viewer.offer())
        await viewer.take(answer.text)
        await viewer.until(pictures=5)
        [ours] = server.sessions.all()[0].connections.viewers.values()
        theirs, mine = (ice_transport(one)._connection for one in (ours._connection, viewer.connection))
        before = (theirs.local_username, theirs.local_password, dict(theirs._nominated))
        again = await restart(client, answer.headers["Location"], session["view_token"], viewer)
        assert (again.status, again.headers["Content-Type"]) == (200, FRAGMENT)
        assert again.headers["ETag"] != answer.headers["ETag"]
        fragment = read_fragment(again.text)
        assert (fragment.username, fragment.password) == (theirs.local_username, theirs.local_password)
        assert fragment.username != before[0]
        assert fragment.password != before[1]
        assert await ice_restart.agree(ice_transport(viewer.connection))
        await eventually(lambda: theirs._nominated[1] is not before[2][1])
        assert theirs.remote_username == mine.local_username
        count = len(viewer.pictures)
        await viewer.until(pictures=count + 20)
        stale = {"Content-Type": FRAGMENT, "If-Match": answer.headers["ETag"]}
        late = await ask(client, "PATCH", answer.headers["Location"], session["view_token"], data="a=x", headers=stale)
        assert late.status == 412
        await viewer.close()


async def test_a_publisher_may_restart_as_well_and_twice(client: Client, server: Running) -> None:
    session = await client.create()
    obs = Obs()
    await obs.start(client, session["urls"]["whip"], session["token"])
    await eventually(lambda: obs.connection.connectionState == "connected")
    viewer = await watch(client, session)
    for _ in range(2):
        await viewer.until(pictures=len(viewer.pictures) + 5)
        assert (await restart(client, obs.resource, session["token"], obs)).status == 200
        assert await ice_restart.agree(ice_transport(obs.connection))
    await viewer.until(pictures=len(viewer.pictures) + 20)
    assert server.sessions.all()[0].state == "live"
    await obs.stop(client, session["token"])
    await viewer.close()


async def test_a_restart_that_nobody_follows_keeps_the_old_path(
    client: Client, server: Running, monkeypatch: Any
) -> None:
    monkeypatch.setattr("streamer.webrtc.aiortc_internals.ice_restart.PATIENCE", 10)
    async with published(client) as (session, obs):
        viewer = await watch(client, session)
        await viewer.until(pictures=5)
        fragment = "a=ice-ufrag:gone\na=ice-pwd:" + "g" * 22
        headers = {"Content-Type": FRAGMENT, "If-Match": "*"}
        answer = await ask(client, "PATCH", obs.resource, session["token"], data=fragment, headers=headers)
        assert answer.status == 200
        await viewer.until(pictures=len(viewer.pictures) + 30)
        assert server.sessions.all()[0].state == "live"
        await viewer.close()


async def test_restarts_are_few_and_each_ends_the_one_before(client: Client) -> None:
    async with published(client) as (session, obs):

        async def again(number: int) -> Any:
            fragment = f"a=ice-ufrag:gone{number}\na=ice-pwd:" + "g" * 22
            headers = {"Content-Type": FRAGMENT, "If-Match": "*"}
            return await ask(client, "PATCH", obs.resource, session["token"], data=fragment, headers=headers)

        answers = [await again(number) for number in range(RESTARTS_AT_ONCE + 1)]
        assert [answer.status for answer in answers] == [200] * RESTARTS_AT_ONCE + [429]
        assert answers[-1].headers["Retry-After"] == str(RESTART_PAUSE)
        await eventually(lambda: len([task for task in asyncio.all_tasks() if task.get_name() == "ICE restart"]) == 1)


async def test_a_restart_ends_with_its_connection() -> None:
    transport = RTCIceTransport(RTCIceGatherer(iceServers=[]))
    await transport.iceGatherer.gather()
    connection: Any = transport._connection
    peer = Candidate("1", 1, "udp", 1, "198.51.100.7", 5000, "host")
    connection._nominated[1] = CandidatePair(connection._protocols[0], peer)
    agreement = asyncio.create_task(ice_restart.agree(transport))
    await asyncio.sleep(0)
    await transport.stop()
    assert await agreement is False
