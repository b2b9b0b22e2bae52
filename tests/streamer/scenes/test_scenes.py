"""The scenes of README, whole: the embedded models, a real portrait and speech, and the command as it is written."""

from __future__ import annotations

import asyncio
import io
import re
import shlex
import wave
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from mytalk_client.__main__ import main
from numpy.typing import NDArray

from mytalk import Picture
from mytalk.face import Face
from mytalk.face.landmarks import LIPS
from streamer.config.server_config import ServerConfig
from streamer.http.server import running
from streamer.media.looped_speech import LoopedSpeech
from tests.streamer.support.pictures import movement
from tests.streamer.support.waiting import eventually

pytestmark = pytest.mark.slow

README = Path(__file__).resolve().parents[3] / "README.md"
SECONDS = 4
TRIES = 10
"""On a busy machine few pictures of one try are dubbed in time."""


@pytest.fixture
def materials(tmp_path: Path, portrait: Picture) -> Path:
    """A folder with ``me.png`` and ``speech.wav``."""
    assert cv2.imwrite(str(tmp_path / "me.png"), portrait.rgb()[:, :, ::-1])
    chunks = LoopedSpeech.read(ServerConfig().demo_speech_path).chunks()
    samples = np.concatenate([next(chunks)[:, 0] for _ in range(50 * SECONDS)])
    with wave.open(str(tmp_path / "speech.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(samples.tobytes())
    return tmp_path


def command() -> list[str]:
    """Returns what README says after ``python -m mytalk_client``."""
    found = re.search(r"python -m mytalk_client (say .*)", README.read_text())
    assert found is not None
    return shlex.split(found[1])


def decoded(film: bytes) -> tuple[list[NDArray[np.uint8]], NDArray[np.float32]]:
    """Pictures and sound."""
    with av.open(io.BytesIO(film)) as file:
        pictures = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    with av.open(io.BytesIO(film)) as file:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])
    return pictures, sound


@pytest.mark.usefixtures("always_dubbed")
async def test_a_portrait_says_what_is_streamed_to_it_and_its_video_comes_back(
    materials: Path, portrait_face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(materials)
    async with running(ServerConfig(port=0, require_consent=True)) as server:
        await server.loading
        arguments, dubbed = [*command(), "--url", server.url.rstrip("/")], 0
        for _ in range(TRIES):
            before = server.sessions.pictures()
            assert await asyncio.wait_for(asyncio.to_thread(main, arguments), 120) == 0
            await eventually(lambda: not server.sessions.all())
            dubbed = sum(server.sessions.pictures()[how] - before[how] for how in ("on_time", "late"))
            if dubbed > 25 * SECONDS // 2:
                break
    pictures, sound = decoded((materials / "talk.mp4").read_bytes())
    assert len(pictures) > 10  # a busy machine leaves pictures out, and never sound
    loud = np.flatnonzero(np.abs(sound) > 0.02)
    assert SECONDS - 1.5 < (loud[-1] - loud[0]) / 48_000 < SECONDS + 0.1
    (x0, y0), (x1, y1) = (edge(portrait_face.points[list(LIPS), :2], axis=0).astype(int) for edge in (np.min, np.max))
    assert dubbed > 25 * SECONDS // 2
    mouth, corner = movement(pictures, (x0, y0, x1, y1)), movement(pictures, (0, 0, 120, 80))
    assert mouth > 3 * corner + 1
