"""The figures of ``/metrics``: what is counted, while it happens and when it is past."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import aiohttp

from streamer.config.server_config import ServerConfig
from streamer.http.server import Running, running
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, ask, bearer, call
from tests.streamer.support.sounds import babble
from tests.streamer.support.stream_client import streaming
from tests.streamer.support.tracks import Camera, Microphone
from tests.streamer.support.waiting import LIMIT_S, eventually
from tests.streamer.support.whip_clients import published, watch


async def test_figures_of_a_call_are_there_and_its_past_is_kept(client: Client, server: Running) -> None:
    async with call(client, Microphone(babble(60)), Camera()) as (_, peer):
        await peer.until(pictures=30)
        await eventually(lambda: server.sessions.traffic()["webrtc", "out"] > 10_000)
        during = await client.figures()
        assert during['mytalk_sessions{state="live"}'] == 1
        assert during["mytalk_ready"] == 1
        assert during["mytalk_engine_job_seconds_count"] >= 30
        assert during["mytalk_skew_seconds_count"] >= 20
        assert during['mytalk_rungs{rung="full"}'] == 1
        assert 'mytalk_queue_items{queue="paced_sounds"}' in during
        assert during['mytalk_http_requests_total{method="POST",route="/v1/sessions",status="201"}'] == 1
    await eventually(lambda: not server.sessions.all())
    after = await client.figures()
    for name in ('mytalk_bytes_total{direction="in",via="webrtc"}', "mytalk_skew_seconds_count"):
        assert after[name] >= during[name] > 0
    assert after['mytalk_sessions{state="live"}'] == 0
    buckets = [value for name, value in after.items() if name.startswith("mytalk_skew_seconds_bucket")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == after["mytalk_skew_seconds_count"]


async def test_metrics_count_sessions_and_pictures(client: Client) -> None:
    async with call(client, Microphone(babble(1)), Camera()) as (session, viewer):
        await viewer.until(pictures=5)
        async with client.http.get(f"{client.url}/metrics") as response:
            text = await response.text()
            assert response.content_type == "text/plain"
        assert 'mytalk_sessions{state="live"} 1' in text
        await ask(client, "DELETE", session["urls"]["session"], session["token"])
    async with client.http.get(f"{client.url}/metrics") as response:
        text = await response.text()
    assert 'mytalk_sessions_ended_total{reason="deleted by its client"} 1' in text
    left = re.findall(r'^mytalk_pictures_total{outcome="(?:on_time|late|untouched)"} (\d+)\.0$', text, re.MULTILINE)
    assert sum(map(int, left)) >= 5


async def test_the_engine_has_the_threads_that_its_operator_asks_for(config: ServerConfig, models: FakeModels) -> None:
    config = replace(config, engine_threads=3, tracker_threads=2)
    async with running(config, lambda: models) as server, aiohttp.ClientSession() as http:
        await server.loading
        figures = await Client(http, server.url).figures()
    assert figures['mytalk_engine_threads{kind="engine"}'] == 3
    assert figures['mytalk_engine_threads{kind="tracker"}'] == 2


async def test_metrics_count_viewers_and_packets(client: Client) -> None:
    async with published(client) as (session, _):
        viewer = await watch(client, session)
        await viewer.until(pictures=3)
        text = (await ask(client, "GET", "/metrics", None)).text
        assert "mytalk_viewers 1" in text
        sent = next(line for line in text.splitlines() if line.startswith("mytalk_viewer_packets_total "))
        assert float(sent.split()[1]) > 3
        await viewer.close()
    assert bearer(session)["Authorization"] not in text


async def test_bytes_of_a_websocket_are_counted_both_ways(client: Client, server: Running) -> None:
    session = await client.create(source="portrait", speech="stream")
    url = client.url + session["urls"]["stream"]
    async with client.http.ws_connect(url, protocols=("mytalk.v1", f"mytalk.token.{session['token']}")) as socket:
        created = await socket.receive_str()
        await socket.send_str('{"type": "ping", "data": "x"}')
        while (await socket.receive_json())["type"] != "pong":
            pass
        traffic = server.sessions.traffic()
    assert traffic["websocket", "in"] == len('{"type": "ping", "data": "x"}')
    assert traffic["websocket", "out"] > len(created)


async def test_streams_and_the_speech_that_waits_in_them_are_figures(client: Client) -> None:
    async with streaming(client) as streamer:
        await streamer.send(type="session.update", speech={"encoding": "pcm16", "rate": 48_000, "channels": 1})
        await streamer.one("session.updated")
        await streamer.say(babble(20))
        await eventually(lambda: bool(streamer.all("playback.started")))
        during = await client.figures()
        assert during['mytalk_streams{state="open"}'] == 1
        assert 5 < during["mytalk_speech_waiting_seconds"] < 20
        await streamer.cut()
        await eventually_figure(client, 'mytalk_streams{state="cut"}', 1)
        await streamer.connect(resume=streamer.received)
        await streamer.one("session.resumed")
        await streamer.send(type="session.end")
        await eventually_figure(client, 'mytalk_streams{state="open"}', 0)
    assert (await client.figures())["mytalk_speech_waiting_seconds"] == 0


async def eventually_figure(client: Client, name: str, value: float) -> None:
    async with asyncio.timeout(LIMIT_S):
        while (await client.figures())[name] != value:  # noqa: ASYNC110 (a figure is no event)
            await asyncio.sleep(0.05)
