"""A camera that leaves is reported, and so is its return; meanwhile nobody speaks over a face that stands still."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.clock import MILLISECOND_NS, SECOND_NS, FakeClock
from streamer.config.server_config import ServerConfig
from streamer.http.server import Running
from streamer.protocol.events import Events
from streamer.protocol.packets import Flags, Kind, Packet
from streamer.session.camera_watch import LEFT_WAIT, CameraWatch
from streamer.session.figures import SessionFigures
from streamer.session.idle_timeout import CAMERA_AWAY, CAMERA_LEFT
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, call
from tests.streamer.support.sounds import babble
from tests.streamer.support.stream_client import Streamer, streaming
from tests.streamer.support.tracks import Camera, Microphone
from tests.streamer.support.waiting import eventually
from tests.streamer.support.whip_clients import Obs, watch

TICK = 20 * MILLISECOND_NS


@pytest.fixture
def config(config: ServerConfig, tmp_path: Path) -> ServerConfig:
    return dataclasses.replace(config, recordings=tmp_path / "recordings")


@asynccontextmanager
async def dubbing(client: Client, **options: object) -> AsyncIterator[tuple[Streamer, Obs]]:
    """A camera by WHIP whose voice comes over the WebSocket, once the first pictures have gone through."""
    async with streaming(client, source="live", **options) as streamer:
        obs = Obs()
        await obs.start(client, streamer.session["urls"]["whip"], streamer.session["token"])
        await streamer.begin(audio="pcm16", video="jpeg")
        await streamer.until(lambda: len(streamer.of(Kind.VIDEO_JPEG)) > 10)
        try:
            yield streamer, obs
        finally:
            await obs.close()


async def comes_back(client: Client, streamer: Streamer) -> Obs:
    obs = Obs()
    await obs.start(client, streamer.session["urls"]["whip"], streamer.session["token"])
    await streamer.one("camera.back")
    return obs


def end_after(server: Running, seconds: int) -> None:
    [session] = server.sessions.all()
    session.attendance.idle_wait = seconds * SECOND_NS


def figures(server: Running) -> list[SessionFigures]:
    return [session.figures for session in server.sessions.all()]


def loud(heard: NDArray[np.int16]) -> NDArray[np.int16]:
    return heard[heard != 0]


def reported(*stretches: tuple[bool, bool, int]) -> list[dict[str, object]]:
    """Returns the events of a camera that sends or not, and is connected or not, each for so many nanoseconds."""
    events, now = Events(FakeClock()), 0
    watch = CameraWatch(events)
    for sends, connected, nanoseconds in stretches:
        for _ in range(nanoseconds // TICK):
            if sends:
                watch.picture(now)
            watch.look(now, connected=connected)
            now += TICK
    return [{name: value for name, value in event.items() if name != "at_ms"} for event in events.to_json()]


@pytest.mark.parametrize(("connected", "reason"), [(True, "silent"), (False, "gone")])
def test_a_camera_that_left_is_reported_once_and_that_it_is_back(connected: bool, reason: str) -> None:
    minute = 60 * SECOND_NS
    assert reported((True, True, SECOND_NS), (False, connected, minute), (True, True, minute)) == [
        {"type": "camera.left", "reason": reason},
        {"type": "camera.back", "away_ms": 60_020},
    ]


def test_a_network_that_stalls_and_a_camera_that_never_came_are_not_reported() -> None:
    assert reported(*[(True, True, SECOND_NS), (False, True, LEFT_WAIT - 2 * TICK)] * 9) == []
    assert reported((False, True, 60 * SECOND_NS)) == []


def test_time_in_which_the_process_stood_still_is_not_the_cameras() -> None:
    events = Events(FakeClock())
    watch = CameraWatch(events)
    watch.picture(0)
    watch.skip(60 * SECOND_NS)
    watch.look(60 * SECOND_NS + TICK, connected=True)
    assert not events.to_json()


async def test_an_open_websocket_keeps_no_session_whose_camera_left(
    client: Client, server: Running, config: ServerConfig
) -> None:
    """The session ends by itself, and what it recorded ends with the camera."""
    assert config.recordings is not None
    async with dubbing(client, record=True) as (streamer, obs):
        await streamer.say(babble(30.0))
        await streamer.one("playback.started")
        await streamer.until(lambda: len(streamer.of(Kind.VIDEO_JPEG)) > 50)
        end_after(server, 8)
        await obs.stop(client, streamer.session["token"])
        assert (await streamer.one("camera.left"))["reason"] == "gone"
        state = await client.state(streamer.session)
        assert state["stats"]["camera"] == "left"
        assert (await streamer.one("session.ended", 60))["reason"] == CAMERA_AWAY
        assert not streamer.all("playback.finished")
    await eventually(lambda: server.sessions.ended == {CAMERA_AWAY: 1})
    [path] = config.recordings.iterdir()
    pictures, sound = await asyncio.to_thread(ends_of, path)
    assert pictures < sound < pictures + 3


def ends_of(path: Path) -> tuple[float, float]:
    """The seconds at which the last picture that differs from the one before begins, and at which sound ends."""
    with av.open(path) as opened:
        frames = [(frame.time, frame.to_ndarray(format="gray").astype(int)) for frame in opened.decode(video=0)]
    moved = [at for (at, now), (_, before) in zip(frames[1:], frames, strict=False) if abs(now - before).max() > 60]
    with av.open(path) as opened:
        [*_, last] = opened.decode(audio=0)
    return float(moved[-1]), float(last.time + last.samples / last.sample_rate)


async def test_the_voice_waits_for_the_camera_and_loses_nothing(client: Client, server: Running) -> None:
    speech = babble(6.0)
    async with dubbing(client) as (streamer, obs):
        await streamer.say(speech)
        await streamer.send(type="speech.commit")
        await streamer.one("playback.started")
        await obs.stop(client, streamer.session["token"])
        await streamer.one("camera.left")
        count, pictures = len(streamer.of(Kind.AUDIO_PCM16)), len(streamer.of(Kind.VIDEO_JPEG))
        await streamer.until(lambda: len(streamer.of(Kind.AUDIO_PCM16)) > count + 250)
        assert len(streamer.of(Kind.VIDEO_JPEG)) > pictures + 2  # the last one again, now and then
        assert not loud(streamer.heard()[(count + 150) * 960 :]).size
        assert not streamer.all("playback.finished")
        again = await comes_back(client, streamer)
        finished = await streamer.one("playback.finished")
        assert finished["position"] == len(speech) // 3
        assert np.array_equal(loud(streamer.heard()), loud(speech))
        await again.close()


async def test_speech_for_pictures_that_were_never_filmed_is_dropped_with_a_word(client: Client) -> None:
    async with dubbing(client, video_delay=200) as (streamer, obs):
        await obs.stop(client, streamer.session["token"])
        await streamer.one("camera.left")
        await streamer.until(lambda: not loud(streamer.heard()[-960:]).size)
        at = streamer.of(Kind.AUDIO_PCM16)[-1].pts + 32_000
        speech = babble(3.0)
        await streamer.socket.send_bytes(Packet(Kind.SPEECH_PCM16, 0, at, speech.tobytes(), Flags.TIMED).to_bytes())
        late = await streamer.one("speech.late")
        assert late["dropped_ms"] >= 1000
        await streamer.until(lambda: sum(one["dropped_ms"] for one in streamer.all("speech.late")) >= 3000)
        assert not loud(streamer.heard()).size


async def test_a_session_that_is_to_end_with_its_camera_ends(client: Client, server: Running) -> None:
    async with dubbing(client, on_camera_left="end") as (streamer, obs):
        await obs.stop(client, streamer.session["token"])
        assert (await streamer.one("session.ended"))["reason"] == CAMERA_LEFT


async def test_the_last_picture_can_live_on_and_speak(client: Client, models: FakeModels) -> None:
    async with dubbing(client, on_camera_left="idle") as (streamer, obs):
        await obs.stop(client, streamer.session["token"])
        await streamer.one("camera.left")
        await eventually(lambda: models.streams[-1].options.still and models.streams[-1].options.alive)
        pictures = len(streamer.of(Kind.VIDEO_JPEG))
        await streamer.say(babble(1.0))
        await streamer.send(type="speech.commit")
        await streamer.one("playback.finished")
        await eventually(lambda: models.streams[-1].tracked > 25)
        assert len(streamer.of(Kind.VIDEO_JPEG)) > pictures
        again = await comes_back(client, streamer)
        await eventually(lambda: not models.streams[-1].options.still)
        await again.close()


async def test_a_camera_that_pauses_costs_the_engine_nothing_and_its_microphone_goes_on(
    client: Client, server: Running, models: FakeModels
) -> None:
    camera = Camera()
    async with call(client, Microphone(babble(60)), camera) as (session, viewer):
        await viewer.until(pictures=20)
        camera.paused = True

        async def events() -> list[str]:
            return [event["type"] for event in (await client.state(session))["events"]]

        while "camera.left" not in await events():
            await viewer.until(sounds=len(viewer.sounds) + 10)
        await eventually(lambda: not any(one.queues()["untracked"] for one in figures(server)))
        tracked, shown, heard = models.streams[0].tracked, len(viewer.pictures), len(viewer.sounds)
        [before] = [one.rung for one in figures(server)]
        await viewer.until(sounds=heard + 150, pictures=shown + 3)
        assert models.streams[0].tracked == tracked
        state = await client.state(session)
        assert state["stats"]["camera"] == "left"
        assert [one.rung for one in figures(server)] <= [before]
        assert state["stats"]["pictures"]["repeated"] >= 3
        loudest = max(abs(frame.to_ndarray()).max() for _, frame in viewer.sounds[heard + 100 :])
        assert loudest > 3000
        camera.paused = False
        while "camera.back" not in await events():
            await viewer.until(sounds=len(viewer.sounds) + 10)
        shown = len(viewer.pictures)
        await viewer.until(pictures=shown + 25)
        assert models.streams[0].tracked > tracked


async def test_metrics_count_both(client: Client) -> None:
    async with dubbing(client) as (streamer, obs):
        viewer = await watch(client, streamer.session)
        await obs.stop(client, streamer.session["token"])
        await streamer.one("camera.left")
        again = await comes_back(client, streamer)
        figures = await client.figures()
        assert figures['mytalk_events_total{type="camera.left"}'] == 1
        assert figures['mytalk_events_total{type="camera.back"}'] == 1
        await again.close()
        await viewer.close()
