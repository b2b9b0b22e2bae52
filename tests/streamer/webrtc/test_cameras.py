"""Cameras of every rate and temper: their timestamps are kept, and the session goes on."""

from __future__ import annotations

import asyncio
import itertools
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from mytalk.media_time import SAMPLE_RATE
from mytalk.picture import Picture, VideoFrame
from streamer.clock import MILLISECOND_NS, SAMPLE_NS, SECOND_NS
from streamer.media.timeline import PictureTimeline, timestamp
from streamer.webrtc.aiortc_internals import decoders
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, call
from tests.streamer.support.peers import Viewer
from tests.streamer.support.pictures import number_of
from tests.streamer.support.sounds import babble
from tests.streamer.support.tracks import Camera, Microphone
from tests.streamer.support.waiting import LIMIT_S
from tests.streamer.support.whip_clients import Obs, watch

TICKS = Fraction(1, 90_000)
GREY = Picture.from_rgb(np.full((16, 16, 3), 90, np.uint8))
RATES = [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50), Fraction(60)]


def stamps(rate: Fraction | None, count: int) -> list[int]:
    """Timestamps in units of 1 / 90000 s; None: no two intervals are alike."""
    if rate is None:
        return [0, *np.cumsum(np.random.default_rng(5).integers(900, 9_000, count - 1)).tolist()]
    return [round(n * 90_000 / rate) for n in range(count)]


@pytest.mark.parametrize("rate", [*RATES, None], ids=str)
def test_timestamps_go_out_with_the_intervals_that_they_came_in_with(rate: Fraction | None) -> None:
    timeline = PictureTimeline(origin=0)
    jitter = np.random.default_rng(1).integers(0, 15 * MILLISECOND_NS, 300).tolist()
    given = stamps(rate, 300)
    out = []
    for pts, late in zip(given, jitter, strict=True):
        at = timeline.place(pts, TICKS, 700 * MILLISECOND_NS + pts * SECOND_NS // 90_000 + late)
        assert at is not None
        out.append(timestamp(VideoFrame(GREY, at, pts, TICKS), 90_000))
    assert np.diff(out).tolist() == np.diff(given).tolist()
    assert abs(out[0] - 0.7 * 90_000) < 0.016 * 90_000  # beside the speech of the moment that they came in


@pytest.mark.parametrize("jump", [0.7, 5.0, 3600.0, -5.0])
def test_pictures_whose_timestamps_jumped_are_beside_their_speech_again_at_once(jump: float) -> None:
    timeline = PictureTimeline(origin=0)
    for n in range(100):
        timeline.place(n * 3600, TICKS, n * 40 * MILLISECOND_NS)
    off = []
    for n in range(100, 200):
        now = n * 40 * MILLISECOND_NS
        at = timeline.place(n * 3600 + int(jump * 90_000), TICKS, now)
        off.append(None if at is None else at - now // SAMPLE_NS)
    settled = next(n for n, one in enumerate(off) if one is not None and abs(one) < SAMPLE_RATE // 10)
    assert settled <= (0 if jump > 0 else 30)
    assert all(one is not None and abs(one) < SAMPLE_RATE // 10 for one in off[settled:])


class Changing(Camera):
    """Numbered pictures with given timestamps, sent when they say."""

    def __init__(self, given: list[int]) -> None:
        super().__init__()
        self.given = given

    async def recv(self) -> Any:
        self.interval = Fraction(self.given[self.index], 90_000 * max(1, self.index))
        return await super().recv()

    def frame(self, index: int) -> av.VideoFrame:
        frame = super().frame(index)
        frame.pts = self.given[index]
        return frame


def shown(viewer: Viewer) -> dict[int, int]:
    """Numbers of the pictures that came, each with its first timestamp: one that stands in for the next is no other."""
    stamps: dict[int, int] = {}
    for _, frame in viewer.pictures:
        stamps.setdefault(number_of(frame.to_ndarray(format="rgb24")), frame.pts)
    return stamps


@pytest.mark.parametrize("rate", [Fraction(24), None], ids=str)
async def test_a_receiving_peer_sees_the_cameras_own_intervals(client: Client, rate: Fraction | None) -> None:
    given = stamps(rate, 2000)
    async with call(client, Microphone(babble(4)), Changing(given)) as (_, viewer):
        await viewer.until(pictures=60)
    seen = shown(viewer)
    assert list(seen) == sorted(seen)
    moved = np.abs(np.diff([pts - given[number] for number, pts in seen.items()]))
    between = np.diff(list(seen))
    assert (moved <= 455 * between).all()  # moved to their speech by 5 ms a picture at most
    assert (moved <= 2).sum() >= 5  # else exact: aiortc's encoders, the camera's and the server's, round down


@pytest.mark.parametrize("codec", ["h264", "vp8"])
async def test_a_whep_viewer_sees_the_cameras_own_intervals(client: Client, codec: str) -> None:
    given = stamps(Fraction(30000, 1001), 4000)
    session = await client.create()
    obs = Obs(Microphone(babble(60)), Changing(given))
    await obs.start(client, session["urls"]["whip"], session["token"])
    viewer = await watch(client, session, codec)
    off: list[int] = []  # by how much an interval is not the camera's, where the pictures were not just being moved
    async with asyncio.timeout(LIMIT_S):
        while len(off) < 30:
            await asyncio.sleep(0.2)
            moved = [pts - given[number] for number, pts in shown(viewer).items()]
            off = [after - before for before, after in itertools.pairwise(moved) if abs(after - before) < 10]
    await viewer.close()
    await obs.close()
    assert off.count(0) > 0.8 * len(off)  # rounded to media time, a fifth would be; the last step of a move is not


@pytest.mark.parametrize("gap", [1, 2])
def test_timestamps_grow_wherever_two_tracks_count_from(gap: int) -> None:
    """``gap`` samples of media time apart: 45 units of the tracks are 8 samples."""
    for first, second, began in itertools.product(range(0, 45, 2), range(0, 45, 2), range(8)):
        timeline, out = PictureTimeline(origin=0), []
        for at, pts in ((began, first), (began + gap, second)):
            timeline.restart()
            place = timeline.place(pts, TICKS, at * SAMPLE_NS)
            if place is not None:
                out.append(timestamp(VideoFrame(GREY, place, pts, TICKS), 90_000))
        assert out[0] < out[-1] or (gap == 1 and len(out) == 1)


async def errors_of(client: Client, session: dict[str, Any]) -> list[dict[str, Any]]:
    return [event for event in (await client.state(session))["events"] if event["type"] == "error"]


async def test_a_camera_of_too_many_pixels_is_left_out_and_the_client_told_why(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders, "MAX_LIVE_PIXELS", 128 * 128)
    async with call(client, Microphone(babble(8)), Camera()) as (session, viewer):
        await viewer.until(sounds=20)
        async with asyncio.timeout(LIMIT_S):
            while not (told := await errors_of(client, session)):  # noqa: ASYNC110 (asked over HTTP)
                await asyncio.sleep(0.1)
    assert [(one["code"], one["fatal"]) for one in told] == [("camera", False)]
    assert "256x256 (need 8-bit 4:2:0, and 1920x1080 pixels at most)" in told[0]["message"]
    assert not viewer.pictures


async def test_a_camera_that_starts_two_seconds_after_the_microphone_joins_it(
    client: Client, models: FakeModels
) -> None:
    camera = Camera()
    camera.paused = True
    async with call(client, Microphone(babble(8)), camera) as (session, viewer):
        await viewer.until(sounds=100)
        assert not viewer.pictures
        camera.paused = False
        await viewer.until(pictures=30)
        state = await client.state(session)
    assert state["untouched_because"] is None
    seen = shown(viewer)
    assert list(seen) == sorted(seen)
    assert len(seen) >= 3  # a machine that is busy drops most of them
    assert models.streams[0].tracked >= 3
