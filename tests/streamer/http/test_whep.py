"""WHEP: many viewers of one session, each with a picture at once, all of one encode."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
from typing import Any

import pytest

from streamer.http.server import Running
from streamer.session.session import Session
from streamer.webrtc.bitrate import START_BITRATE
from tests.streamer.support.aiortc_peer import ask_for_keyframe, losing_packets
from tests.streamer.support.fake_models import MARK, FakeModels
from tests.streamer.support.http_client import Client, ask, call
from tests.streamer.support.offers import offer_of
from tests.streamer.support.peers import Viewer
from tests.streamer.support.pictures import number_of
from tests.streamer.support.sounds import babble
from tests.streamer.support.tracks import Camera, Microphone
from tests.streamer.support.waiting import eventually
from tests.streamer.support.whip_clients import FRAGMENT, SDP, Obs, loud, numbers_seen, post, prefer, published, watch


def only(server: Running) -> Session:
    [session] = server.sessions.all()
    return session


def rgb(frame: Any) -> Any:
    return frame.to_ndarray(format="rgb24")


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_a_viewer_sees_and_hears_what_is_published_dubbed(client: Client, codec: str) -> None:
    async with published(client) as (session, _):
        viewer = await watch(client, session, codec)
        await viewer.until(sounds=50)
        numbers = await numbers_seen(viewer, different=10)
        assert sorted(numbers) == numbers
        x0, y0, x1, y1 = MARK
        assert max(rgb(frame)[y0 + 8 : y1 - 8, x0 + 8 : x1 - 8].mean() for _, frame in viewer.pictures) > 240
        await loud(viewer)
        await viewer.close()


async def test_pictures_and_speech_keep_their_times(client: Client) -> None:
    """Timestamps of both tracks go on as media time does: 25 pictures and 50 packets a second."""
    async with published(client) as (session, _):
        viewer = await watch(client, session)
        await viewer.until(pictures=30, sounds=50)
        pts = [frame.pts for _, frame in viewer.pictures]
        steps = [after - before for before, after in itertools.pairwise(pts)]
        assert min(steps) > 0
        assert 3000 < sum(steps) / len(steps) < 8000  # of 90 000 a second; a busy machine leaves pictures out
        heard = [frame.pts for _, frame in viewer.sounds]
        assert all((after - before) % 960 == 0 for before, after in itertools.pairwise(heard))
        await viewer.close()


async def test_many_viewers_cost_one_encode(client: Client, server: Running) -> None:
    async with published(client) as (session, _):
        viewers = [await watch(client, session, sound=False) for _ in range(5)]
        for viewer in viewers:
            await viewer.until(pictures=10)
        broadcast = only(server).broadcast
        assert broadcast.codecs == ["vp8"]
        assert set(broadcast._encoders) == {"vp8"}
        before, seen = broadcast.encoded, [len(viewer.pictures) for viewer in viewers]
        await eventually(lambda: broadcast.encoded > before + 25)
        encoded = broadcast.encoded - before
        for viewer, count in zip(viewers, seen, strict=True):
            await viewer.until(pictures=count + encoded - 8)
            await viewer.close()


async def test_who_knows_both_codecs_gets_the_one_that_is_encoded_already(client: Client, server: Running) -> None:
    async with published(client) as (session, _):
        first = await watch(client, session, "h264", sound=False)
        await first.until(pictures=1)
        second = await watch(client, session, "vp8", "h264", sound=False)
        await second.until(pictures=3)
        assert set(only(server).broadcast._encoders) == {"h264"}
        third = await watch(client, session, "vp8", sound=False)
        await third.until(pictures=3)
        assert set(only(server).broadcast._encoders) == {"h264", "vp8"}
        await third.close()
        await eventually(lambda: set(only(server).broadcast._encoders) == {"h264"})
        await first.close()
        await second.close()
        await eventually(lambda: not only(server).broadcast._encoders)


async def test_who_comes_late_sees_a_picture_at_once(client: Client, server: Running) -> None:
    """The first picture of each is a keyframe made for it, not the next one that happens to come."""
    async with published(client) as (session, _):
        first = await watch(client, session, sound=False)
        await first.until(pictures=25)
        for _ in range(3):
            encoded = only(server).broadcast.encoded
            late = await watch(client, session, sound=False)
            await late.until(pictures=1)
            assert only(server).broadcast.encoded - encoded < 100
            assert number_of(rgb(late.pictures[0][1])) > 0
            await late.close()
        await first.close()


async def test_a_viewer_that_lost_the_picture_gets_a_keyframe(client: Client, server: Running) -> None:
    async with published(client) as (session, _):
        viewer = await watch(client, session, sound=False)
        await viewer.until(pictures=10)
        [ours] = only(server).connections.viewers.values()
        keys = []
        picture = ours.picture

        def noted(encoded: Any) -> None:
            keys.append(encoded.key)
            picture(encoded)

        ours.picture = noted  # type: ignore[method-assign]
        await eventually(lambda: len(keys) > 10)
        assert not any(keys)
        await ask_for_keyframe(viewer.connection)
        await eventually(lambda: any(keys))
        await viewer.close()


async def test_a_lossy_line_lowers_the_bitrate_and_a_clean_one_does_not(client: Client, server: Running) -> None:
    async with published(client) as (session, _):
        viewer = await watch(client, session)
        await viewer.until(pictures=10)
        broadcast = only(server).broadcast
        [encoder] = broadcast._encoders.values()
        assert encoder.bitrate == START_BITRATE
        with losing_packets(viewer.connection, share=2 / 3):
            await eventually(lambda: broadcast._encoders["vp8"].bitrate < START_BITRATE // 2)
        await viewer.close()


async def test_a_call_has_no_place_in_a_session_that_is_published_to(client: Client) -> None:
    async with published(client) as (session, obs):
        await obs.stop(client, session["token"])
        offer = {"type": "offer", "sdp": await offer_of("audio", "video", direction="sendrecv")}
        answer = await ask(client, "POST", session["urls"]["webrtc"], session["token"], json=offer)
        assert answer.status == 409
        again = Obs()  # the refused call left the place free
        await again.start(client, session["urls"]["whip"], session["token"])
        await again.close()


async def test_while_nobody_publishes_viewers_are_told_to_come_again(client: Client) -> None:
    session = await client.create()
    answer = await post(
        client, session["urls"]["whep"], session["view_token"], await offer_of("audio", "video", direction="recvonly")
    )
    assert (answer.status, answer.headers["Retry-After"]) == (409, "2")
    assert "no publisher" in json.loads(answer.text)["error"]["message"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_session_of_stored_media_begins_with_its_first_viewer_and_ends_without_any(
    client: Client, server: Running
) -> None:
    session = await client.create(source="portrait", speech="demo")
    viewer = await watch(client, session)
    await viewer.until(pictures=10, sounds=50)
    await loud(viewer)
    only(server).attendance.idle_wait = 10**9
    await asyncio.sleep(1.5)
    assert only(server).state == "live"
    await viewer.close()
    await eventually(lambda: not server.sessions.all())


async def test_a_call_can_be_watched_too(client: Client) -> None:
    async with call(client, Microphone(babble(30)), Camera()) as (session, peer):
        viewer = await watch(client, session)
        await viewer.until(pictures=10, sounds=20)
        await peer.until(pictures=10)
        await viewer.close()


async def test_barge_in_silences_viewers_as_well(client: Client) -> None:
    async with published(client) as (session, _):
        viewer = await watch(client, session)
        await viewer.until(sounds=60)
        answer = await ask(client, "POST", session["urls"]["clear"], session["token"])
        assert json.loads(answer.text)["interrupted"]
        before = len(viewer.sounds)
        await viewer.until(sounds=before + 15)
        quiet = [abs(frame.to_ndarray()).max() < 50 for _, frame in viewer.sounds[before:]]
        assert any(quiet)
        await viewer.close()


async def test_a_viewer_leaves_by_delete_and_by_vanishing(client: Client, server: Running) -> None:
    async with published(client) as (session, _):
        viewers = []
        for _ in range(2):
            viewer = Viewer(receive=("audio", "video"))
            answer = await post(client, session["urls"]["whep"], session["view_token"], await viewer.offer())
            await viewer.take(answer.text)
            await viewer.until(pictures=1)
            viewers.append((viewer, answer.headers["Location"]))
        assert len(only(server).connections.viewers) == 2
        (one, location), (other, _) = viewers
        assert (await ask(client, "DELETE", location, session["view_token"])).status == 200
        assert (await ask(client, "DELETE", location, session["view_token"])).status == 404
        assert len(only(server).connections.viewers) == 1
        other.vanish()
        await eventually(lambda: not only(server).connections.viewers)
        assert only(server).state == "live"
        assert not only(server).broadcast.audience
        await one.close()
        await other.close()


async def test_everything_of_the_viewers_goes_with_the_session(client: Client, server: Running) -> None:
    async with client.http.get(f"{client.url}/healthz"):
        before = len(asyncio.all_tasks())
    async with published(client) as (session, obs):
        viewers = [await watch(client, session) for _ in range(3)]
        for viewer in viewers:
            await viewer.until(pictures=2)
        assert (await ask(client, "DELETE", session["urls"]["session"], session["token"])).status == 200
        for peer in (*viewers, obs):
            await peer.close()
    gc.collect()
    await eventually(lambda: len(asyncio.all_tasks()) <= before)


async def test_what_a_viewer_may_ask_for(client: Client, server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    async with published(client) as (session, _):
        url, token = session["urls"]["whep"], session["view_token"]
        good = await offer_of("audio", "video", direction="recvonly")
        assert (await post(client, url, None, good)).status == 401
        assert (await post(client, url, "wrong", good)).status == 403
        assert (await post(client, url, session["token"], good)).status == 201  # its owner may watch as well
        assert (await post(client, url, token, "hello")).status == 400
        assert (await post(client, url, token, await offer_of("audio", "video", direction="sendonly"))).status == 406
        assert (await post(client, url, token, good.replace("VP8", "VP7").replace("H264", "H263"))).status == 406
        wrong_type = {"data": good, "headers": {"Content-Type": "text/plain"}}
        assert (await ask(client, "POST", url, token, **wrong_type)).status == 415
        assert (await ask(client, "GET", url, token)).status == 405
        options = await ask(client, "OPTIONS", url, None)
        assert (options.status, options.headers["Accept-Post"]) == (200, SDP)
        answer = await post(client, url, token, await offer_of("audio", "video", direction="sendrecv"))
        assert answer.text.count("a=sendonly") == 2
        assert answer.headers["ETag"]
        location = answer.headers["Location"]
        fragment = {"data": "a=end-of-candidates", "headers": {"Content-Type": FRAGMENT}}
        assert (await ask(client, "PATCH", location, token, **fragment)).status == 428
        fragment["headers"]["If-Match"] = answer.headers["ETag"]  # type: ignore[index]
        assert (await ask(client, "PATCH", location, token, **fragment)).status == 204
        for path in ("whip", "session", "clear"):
            assert (await ask(client, "POST", session["urls"][path], token)).status in (403, 405)
        monkeypatch.setattr("streamer.webrtc.connections.MOST_VIEWERS", len(only(server).connections.viewers))
        full = await post(client, url, token, good)
        assert (full.status, full.headers["Retry-After"]) == (503, "10")


async def test_a_viewer_that_only_listens(client: Client, server: Running) -> None:
    async with published(client) as (session, _):
        viewer = Viewer(receive=("audio",))
        answer = await post(client, session["urls"]["whep"], session["view_token"], await viewer.offer())
        await viewer.take(answer.text)
        await viewer.until(sounds=20)
        assert only(server).broadcast.encoded == 0
        await viewer.close()


async def test_a_microphone_alone_can_publish_into_a_portrait(client: Client, models: FakeModels) -> None:
    session = await client.create(source="portrait")
    obs = Obs(Microphone(babble(60)))
    await obs.start(client, session["urls"]["whip"], session["token"])
    viewer = await watch(client, session)
    await viewer.until(pictures=10, sounds=50)
    await loud(viewer)
    await viewer.close()
    await obs.close()


async def test_a_camera_without_a_microphone_can_publish_into_a_session_that_stores_its_speech(
    client: Client, models: FakeModels
) -> None:
    session = await client.create(speech="demo")
    obs = Obs(Camera())
    prefer(obs, "h264")
    await obs.start(client, session["urls"]["whip"], session["token"])
    viewer = await watch(client, session)
    await viewer.until(pictures=20, sounds=50)
    await loud(viewer)
    assert models.streams[0].tracked > 5
    await viewer.close()
    await obs.close()
