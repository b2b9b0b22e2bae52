"""Encoders that are set for files, with B-frames and rare keyframes, are shown all the same, and told what to set."""

from __future__ import annotations

import logging

import pytest

from streamer.session import media_start
from streamer.webrtc import encoder_habits
from tests.streamer.support.http_client import Client
from tests.streamer.support.sounds import babble
from tests.streamer.support.stream_client import Streamer
from tests.streamer.support.tracks import EncodedCamera, Microphone
from tests.streamer.support.whip_clients import Obs, numbers_seen, watch


async def test_b_frames_are_shown_in_order_and_warned_of(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, media_start.__name__)
    session = await client.create()
    stream = Streamer(client, session)
    await stream.connect()
    camera = EncodedCamera(250, profile="main", bf="2", g="25", sc_threshold="0")
    publisher = Obs(Microphone(babble(60)), camera)
    await publisher.start(client, session["urls"]["whip"], session["token"])
    warning = await stream.one("warning")
    assert warning["code"] == "b_frames"
    assert "OBS" in warning["message"]
    viewer = await watch(client, session)
    numbers = await numbers_seen(viewer, different=10)
    assert numbers == sorted(numbers)
    assert warning["message"] in caplog.text
    assert len(stream.all("warning")) == 1
    await viewer.close()
    await publisher.close()
    await stream.close()


async def test_rare_keyframes_are_shown_and_warned_of(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_habits, "LONG_INTERVAL", encoder_habits.RATE)  # their 2 s are long
    session = await client.create()
    stream = Streamer(client, session)
    await stream.connect()
    publisher = Obs(Microphone(babble(60)), EncodedCamera(500, profile="baseline", g="50", sc_threshold="0"))
    await publisher.start(client, session["urls"]["whip"], session["token"])
    assert (await stream.one("warning", seconds=60))["code"] == "keyframe_interval"
    viewer = await watch(client, session)
    assert len(await numbers_seen(viewer, different=5)) >= 5
    await viewer.close()
    await publisher.close()
    await stream.close()
