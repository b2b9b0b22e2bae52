"""The live path with the embedded models: a real face, a real speech, a real peer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.face import FaceTracker
from mytalk.face.landmarks import LIPS
from mytalk.media import open_face
from streamer.config.server_config import ServerConfig
from streamer.http.server import running
from streamer.media.looped_speech import LoopedSpeech
from tests.streamer.support.http_client import Client, call
from tests.streamer.support.pictures import movement
from tests.streamer.support.sounds import likeness
from tests.streamer.support.tracks import Camera, Microphone
from tests.streamer.support.waiting import LIMIT_S

pytestmark = pytest.mark.slow

CONFIG = ServerConfig(port=0)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """The portrait's head alone: who sends and looks shares two cores with the engine."""
    portrait = tmp_path / "portrait.png"
    cv2.imwrite(str(portrait), cv2.imread(str(CONFIG.portrait_path))[:256, 96:352])
    async with running(replace(CONFIG, portrait=portrait)) as server, aiohttp.ClientSession() as http:
        await server.loading
        yield Client(http, server.url)


def speech() -> NDArray[np.int16]:
    chunks = LoopedSpeech.read(CONFIG.demo_speech_path).chunks()
    return np.concatenate([next(chunks)[:, 0] for _ in range(50 * 60)])


@pytest.mark.parametrize("source", ["live", "portrait"])
async def test_the_mouth_speaks_and_the_rest_of_the_picture_stays(client: Client, tmp_path: Path, source: str) -> None:
    picture = next(open_face(tmp_path / "portrait.png").frames(endless=True)).picture
    face = FaceTracker()(picture)
    assert face is not None
    lips = face.points[list(LIPS), :2]
    (x0, y0), (x1, y1) = lips.min(axis=0).astype(int), lips.max(axis=0).astype(int)
    said = speech()
    tracks = (Microphone(said), Camera([picture.rgb()])) if source == "live" else (Microphone(said),)
    receive = () if source == "live" else ("video",)
    async with call(client, *tracks, receive=receive, source=source) as (session, viewer):
        async with asyncio.timeout(LIMIT_S):  # a busy engine leaves pictures as they are until it has caught up
            while True:
                await viewer.until(pictures=len(viewer.pictures) + 25)
                pictures = [frame.to_ndarray(format="rgb24") for _, frame in viewer.pictures[20:][-75:]]
                if movement(pictures, (x0, y0, x1, y1)) > 3 * movement(pictures, (0, 0, 60, 40)) + 1:
                    break
        await viewer.until(sounds=150)
        state = await client.state(session)
    assert state["untouched_because"] is None
    assert likeness(said[:96_000], viewer.heard()) > 0.8
