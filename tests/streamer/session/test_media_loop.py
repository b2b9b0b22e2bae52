"""A real WebRTC peer, over loopback, against the server with fake models."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.config.server_config import ServerConfig
from streamer.http.server import Running, running
from tests.streamer.support.fake_models import MARK, FakeModels
from tests.streamer.support.http_client import Client, call
from tests.streamer.support.peers import Viewer
from tests.streamer.support.pictures import number_of, numbered
from tests.streamer.support.sounds import babble, likeness
from tests.streamer.support.tracks import Camera, Microphone
from tests.streamer.support.waiting import LIMIT_S, eventually

Rgb = NDArray[np.uint8]

ALL_HEARD = 320
"""Packets of 20 ms: what is said, and more than two seconds for a start that took its time."""


def is_dubbed(rgb: Rgb) -> bool:
    x0, y0, x1, y1 = MARK
    return bool(rgb[y0 + 8 : y1 - 8, x0 + 8 : x1 - 8].mean() > 225)


def pictures_of(viewer: Viewer) -> list[Rgb]:
    return [frame.to_ndarray(format="rgb24") for _, frame in viewer.pictures]


@pytest.mark.usefixtures("always_dubbed")
async def test_camera_and_speech_come_back_dubbed(client: Client, models: FakeModels) -> None:
    speech = babble(3.0)
    async with call(client, Microphone(speech), Camera()) as (session, viewer):
        await viewer.until(pictures=50, sounds=ALL_HEARD)
        state = await client.state(session)
    assert state["state"] == "live"
    pictures = pictures_of(viewer)
    assert all(is_dubbed(picture) for picture in pictures)
    numbers = [number_of(picture) for picture in pictures]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) > 40
    assert likeness(speech, viewer.heard()) > 0.99  # encoded once, by the peer; a second time would leave 0.98
    heard_by_model = np.concatenate(models.streams[0].speech)
    assert likeness(speech[::3], (heard_by_model * 32767).astype(np.int16), 16_000) > 0.98
    threads = set().union(*models.streams[0].threads.values())
    assert {name.split("-")[0] for name in threads} == {"engine", "tracker", "listener"}


def flashes(viewer: Viewer) -> list[float]:
    """The seconds of the viewer's video at which a light picture follows a dark one."""
    bright = [(frame.pts / 90_000, frame.to_ndarray(format="gray")[128:].mean() > 120) for _, frame in viewer.pictures]
    return [at for (at, now), (_, before) in zip(bright[1:], bright, strict=False) if now and not before]


async def test_picture_and_sound_of_one_moment_come_back_together(client: Client) -> None:
    """A click and a flash leave the camera together every second; they come back within 60 ms of each other, but for a
    moment that a busy machine may lose."""
    seconds = 60
    clicks = np.zeros(seconds * 48_000, np.int16)
    for second in range(seconds):
        start = second * 48_000 + 24_000
        clicks[start : start + 1920] = (np.sin(2 * np.pi * 600 * np.arange(1920) / 48_000) * 15_000).astype(np.int16)
    dark, light = np.full((256, 256, 3), 30, np.uint8), np.full((256, 256, 3), 220, np.uint8)
    pictures = [light if n % 25 in (12, 13) else dark for n in range(25)]
    async with call(client, Microphone(clicks), Camera(pictures)) as (_, viewer):
        await viewer.until(sounds=50 * 6)
        async with asyncio.timeout(LIMIT_S):
            while len(flashes(viewer)) < 4:  # a busy machine leaves pictures out, flashes among them
                await viewer.until(sounds=len(viewer.sounds) + 25)
    # Track times of the receiver start at its first packets, which left together.
    sounds = [(frame.pts / 48_000, frame.to_ndarray().reshape(-1, 2)[:, 0]) for _, frame in viewer.sounds]
    loud = np.array([at + n / 48_000 for at, heard in sounds for n in np.flatnonzero(np.abs(heard.astype(int)) > 4000)])
    sound_at = loud[np.diff(loud, prepend=-1) > 0.2]
    flash_at = flashes(viewer)
    arrivals = [moment for moment, _ in viewer.sounds[:1] + viewer.pictures[:1]]
    assert len(sound_at) >= 4
    between = np.array([sound_at[np.argmin(abs(sound_at - flash))] - flash for flash in flash_at])
    usual = np.median(between)
    assert np.mean(abs(between - usual) < 0.03) > 0.6
    assert abs(usual - (arrivals[1] - arrivals[0])) < 0.15


@pytest.mark.usefixtures("always_dubbed")
async def test_a_portrait_speaks_what_the_microphone_says(client: Client, models: FakeModels) -> None:
    speech = babble(4.0)
    async with call(client, Microphone(speech), receive=("video",), source="portrait") as (_, viewer):
        await viewer.until(pictures=50, sounds=ALL_HEARD)
    assert all(is_dubbed(picture) for picture in pictures_of(viewer))
    assert {number_of(picture) for picture in pictures_of(viewer)} == {1}
    assert likeness(speech, viewer.heard()) > 0.95
    assert models.streams[0].options.still
    intervals = np.diff([frame.pts for _, frame in viewer.pictures])
    assert np.all(intervals % 3600 == 0)  # 25 a second; a busy machine may miss some of them
    assert 3600 in intervals


@pytest.mark.usefixtures("always_dubbed")
async def test_a_portrait_speaks_the_stored_speech_to_whoever_only_looks(client: Client) -> None:
    kinds = ("audio", "video")
    async with call(client, receive=kinds, source="portrait", speech="demo") as (_, viewer):
        await viewer.until(pictures=50, sounds=ALL_HEARD)
    assert all(is_dubbed(picture) for picture in pictures_of(viewer))
    assert likeness(babble(2.0, seed=7), viewer.heard()) > 0.95


async def test_a_camera_can_speak_the_stored_speech(client: Client) -> None:
    async with call(client, Camera(), receive=("audio",), speech="demo") as (_, viewer):
        await viewer.until(pictures=25, sounds=ALL_HEARD)
    assert likeness(babble(2.0, seed=7), viewer.heard()) > 0.95
    numbers = [number_of(picture) for picture in pictures_of(viewer)]
    assert numbers == sorted(numbers)


async def test_the_last_picture_stays_when_the_camera_freezes_and_pictures_go_on_when_speech_stalls(
    client: Client,
) -> None:
    microphone, camera = Microphone(babble(8.0)), Camera()
    async with call(client, microphone, camera) as (session, viewer):
        await viewer.until(pictures=20)
        camera.paused = True
        await asyncio.sleep(1.5)
        frozen = len(viewer.pictures)
        await viewer.until(pictures=frozen + 4)
        camera.paused = False
        microphone.paused = True
        await asyncio.sleep(1.0)
        still = len(viewer.sounds)
        await viewer.until(sounds=still + 25, pictures=frozen + 30)
        microphone.paused = False
        stats = (await client.state(session))["stats"]
        await viewer.until(sounds=still + 60)
    numbers = [number_of(picture) for picture in pictures_of(viewer)]
    assert numbers == sorted(numbers)
    assert stats["filled_speech_ms"] > 500


async def test_a_failing_stream_lets_the_untouched_pictures_through(client: Client, models: FakeModels) -> None:
    speech = babble(6.0)
    async with call(client, Microphone(speech), Camera()) as (session, viewer):
        await viewer.until(pictures=10)
        models.streams[0].fail_at = 0
        await eventually(lambda: bool(viewer.pictures) and not is_dubbed(pictures_of_last(viewer)))
        count = len(viewer.pictures)
        await viewer.until(pictures=count + 25)
        assert "NaN" in (await client.state(session))["untouched_because"]
    assert likeness(speech[:48_000], viewer.heard()) > 0.85


def pictures_of_last(viewer: Viewer) -> Rgb:
    picture: Rgb = viewer.pictures[-1][1].to_ndarray(format="rgb24")
    return picture


@pytest.mark.usefixtures("always_dubbed")
async def test_a_dead_engine_lets_the_untouched_pictures_through_until_it_has_begun_again(
    config: ServerConfig, models: FakeModels
) -> None:
    go, loads = threading.Event(), iter((True, False))

    def load() -> FakeModels:
        assert next(loads) or go.wait(LIMIT_S)
        return models

    def die(*_: Any) -> Any:
        raise SystemExit("the driver is gone")

    async with running(config, load) as server, aiohttp.ClientSession() as http:
        await server.loading
        client = Client(http, server.url)
        async with call(client, Microphone(babble(20)), Camera()) as (session, viewer):
            await viewer.until(pictures=25)
            assert is_dubbed(pictures_of_last(viewer))
            models.streams[0].track = die  # type: ignore[method-assign]
            await eventually(lambda: not is_dubbed(pictures_of_last(viewer)))
            async with http.get(f"{server.url}readyz") as response:
                assert response.status == 503
            assert "driver is gone" in (await client.state(session))["untouched_because"]
            went = len(viewer.pictures)
            await viewer.until(pictures=went + 25)
            go.set()
            await eventually(lambda: is_dubbed(pictures_of_last(viewer)))
            async with http.get(f"{server.url}readyz") as response:
                assert response.status == 200
            state = await client.state(session)
    assert state["untouched_because"] is None
    types = [event["type"] for event in state["events"] if not event["type"].startswith("camera.")]
    assert types == ["error", "session.updated"]  # a busy machine may keep the test's own camera waiting
    assert np.median(np.diff([frame.pts for _, frame in viewer.pictures])) == 3600  # those that are dubbed and not
    numbers = [number_of(picture) for picture in pictures_of(viewer)]
    assert numbers == sorted(numbers)


@pytest.mark.usefixtures("always_dubbed")
async def test_a_camera_of_another_size_mid_stream_goes_on(client: Client) -> None:
    class Turning(Camera):
        def frame(self, index: int) -> Any:
            self.size = 256 if index < 40 else 320
            return super().frame(index)

    async with call(client, Microphone(babble(4)), Turning()) as (_, viewer):
        await viewer.until(pictures=80)
    sizes = [frame.width for _, frame in viewer.pictures]
    assert sizes[0] == 256
    assert sizes[-1] == 320
    assert is_dubbed(pictures_of_last(viewer))


# --- the end of a session, whichever side causes it


def tasks() -> Counter[str]:
    """Running tasks by what they run."""
    return Counter(str(getattr(task.get_coro(), "__qualname__", "?")) for task in asyncio.all_tasks())


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if "decoder" in thread.name}


def others() -> list[str]:
    """Running threads but those of the executors, which start as they are needed and stay."""
    return [
        thread.name
        for thread in threading.enumerate()
        if not thread.name.startswith(("codec", "blocking", "library", "asyncio"))
    ]


def files() -> int:
    """Open file descriptors of this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


def sockets() -> int:
    """Open datagram and stream sockets of this process."""
    links = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            links.append(str(link.readlink()))
    return sum(link.startswith("socket:") for link in links)


@pytest.mark.parametrize("goodbye", ["vanishes", "closes", "deletes", "never connects"])
async def test_nothing_of_a_session_is_left_once_it_has_ended(
    client: Client, server: Running, models: FakeModels, goodbye: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamer.webrtc.liveness.CONNECT_WAIT", 2 * 10**9)  # not 15 s
    async with client.http.get(f"{client.url}/healthz"):  # the client's own connection stays open
        tasks_before, sockets_before = tasks(), sockets()
    session = await client.create()
    viewer = Viewer(Microphone(babble(2)), Camera())
    await client.connect(session, viewer)
    if goodbye == "never connects":
        viewer.vanish()
        await asyncio.wait_for(end_of(server, session), LIMIT_S)
    else:
        await viewer.until(pictures=10)
        if goodbye == "vanishes":
            viewer.vanish()
        elif goodbye == "closes":
            await viewer.close()
        else:
            async with client.http.delete(
                client.url + session["urls"]["session"], headers={"Authorization": f"Bearer {session['token']}"}
            ) as response:
                assert response.status == 200
        await asyncio.wait_for(end_of(server, session), LIMIT_S)
        assert models.streams[0].closed or await closed_soon(models)
    assert server.engine.slots == 0 or await freed_soon(server)
    await viewer.close()
    gc.collect()
    await eventually(lambda: tasks() <= tasks_before)
    await eventually(lambda: not threads())
    await eventually(lambda: sockets() <= sockets_before)


async def test_coming_and_going_ten_times_leaves_no_task_thread_or_file(
    client: Client, server: Running, models: FakeModels
) -> None:
    """The first two are left out of the count: they start what the process keeps."""
    counts = []
    for time in range(10):
        session = await client.create()
        viewer = Viewer(Microphone(babble(1)), Camera())
        await client.connect(session, viewer)
        await viewer.until(pictures=2)
        if time % 3 == 2:
            viewer.vanish()
        await viewer.close()
        await asyncio.wait_for(end_of(server, session), LIMIT_S)
        await freed_soon(server)
        gc.collect()
        await asyncio.sleep(0.1)
        counts.append((sum(tasks().values()), len(others()), files()))
    for kind in zip(*counts, strict=True):
        assert min(kind[-3:]) <= max(kind[1:3]), counts
    assert all(stream.closed for stream in models.streams)


async def end_of(server: Running, session: dict[str, Any]) -> None:
    while any(one.id == session["id"] for one in server.sessions.all()):  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def closed_soon(models: FakeModels) -> bool:
    await eventually(lambda: models.streams[0].closed)
    return True


async def freed_soon(server: Running) -> bool:
    await eventually(lambda: server.engine.slots == 0)
    return True


async def test_a_session_without_an_offer_does_not_stay(client: Client, server: Running) -> None:
    session = await client.create()
    next(iter(server.sessions.all())).attendance.idle_wait = 10**9
    await asyncio.wait_for(end_of(server, session), LIMIT_S)
    assert server.sessions.ended == {"no offer came": 1}


async def test_stopping_the_server_ends_live_sessions(config: Any, models: FakeModels) -> None:
    async with running(config, lambda: models) as server, aiohttp.ClientSession() as http:
        await server.loading
        client = Client(http, server.url)
        session = await client.create()
        viewer = Viewer(Microphone(babble(2)), Camera([numbered(3)]))
        await client.connect(session, viewer)
        await viewer.until(pictures=5)
    assert server.engine.state == "closed"
    assert models.streams[0].closed
    await viewer.close()
