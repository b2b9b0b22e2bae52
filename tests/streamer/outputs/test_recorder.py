"""Sessions recorded to a file and pushed to a streaming server."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import io
import json
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from mytalk.picture import Picture
from streamer.config.server_config import ServerConfig
from streamer.executors import Pool
from streamer.http.server import Running
from streamer.media.audio import CHUNK, CHUNK_TIME, SpeechChunk
from streamer.outputs import recording_file
from streamer.outputs.recorder import Recorder
from streamer.outputs.recording_file import RecordingFile
from streamer.protocol.packets import Kind
from streamer.webrtc.broadcast import Broadcast
from tests.streamer.support.broadcasts import encoded_of
from tests.streamer.support.http_client import Client, ask
from tests.streamer.support.ports import free_port, listening
from tests.streamer.support.recordings import look_at
from tests.streamer.support.stream_client import Streamer
from tests.streamer.support.waiting import LIMIT_S, eventually
from tests.streamer.support.whip_clients import loud, published, watch


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def config(config: ServerConfig, tmp_path: Path, port: int) -> ServerConfig:
    return dataclasses.replace(config, recordings=tmp_path / "recordings", push_to=(f"rtmp://127.0.0.1:{port}/live/",))


async def test_a_transparent_session_is_recorded_so(client: Client, config: ServerConfig, portrait: Picture) -> None:
    assert config.recordings is not None
    rgb = portrait.rgb()
    await asyncio.to_thread(Image.fromarray(rgb).save, config.portrait_path)
    session = await client.create(source="portrait", speech="demo", background="transparent", record=True)
    stream = Streamer(client, session)
    await stream.connect()
    await stream.send(type="session.update", output={"audio": "pcm16", "video": "h264"})
    await stream.until(lambda: len(stream.of(Kind.VIDEO_H264)) > 30)
    await ask(client, "DELETE", session["urls"]["session"], session["token"])
    await stream.close()
    [path] = config.recordings.iterdir()
    assert path.name == f"{session['id']}.webm"
    with av.open(path) as film:
        assert film.streams.audio[0].codec_context.name == "opus"
        decoder: Any = av.CodecContext.create("libvpx", "r")
        frames = [frame for packet in film.demux(film.streams.video[0]) for frame in decoder.decode(packet)]
    assert len(frames) > 20
    for rgba in (frame.to_ndarray(format="rgba") for frame in (frames[0], frames[-1])):
        assert rgba.shape[:2] == rgb.shape[:2]
        assert rgba[:150, -100:, 3].max() < 8
        assert rgba[110:140, 200:250, 3].min() > 247


async def test_a_recorded_session_is_a_complete_file_when_it_has_ended(client: Client, config: ServerConfig) -> None:
    assert config.recordings is not None
    async with published(client, record=True) as (session, _):
        viewer = await watch(client, session, "h264")
        await loud(viewer)
        await viewer.until(pictures=75)  # 3 s
        await viewer.close()
        await ask(client, "DELETE", session["urls"]["session"], session["token"])
    [path] = config.recordings.iterdir()
    assert path.name == f"{session['id']}.mp4"
    numbers, bright, loudest, apart = await asyncio.to_thread(look_at, path)
    assert len(numbers) > 40
    assert numbers == sorted(numbers)
    assert bright > 240
    assert loudest > 3000
    assert apart < 1
    with av.open(path) as opened:
        assert [stream.codec_context.name for stream in opened.streams] == ["h264", "aac"]
        assert "Synthetic" in opened.metadata["comment"]


async def test_the_folder_of_recordings_is_made(server: Running, config: ServerConfig) -> None:
    assert config.recordings is not None
    assert config.recordings.is_dir()
    assert not [*config.recordings.iterdir()]


async def test_a_recording_keeps_the_cameras_intervals_to_the_unit(tmp_path: Path, codecs: Pool) -> None:
    broadcast, given = Broadcast(codecs), [n * 3003 for n in range(60)]  # 30000 / 1001 fps
    recorder = Recorder(tmp_path / "session.mp4", broadcast, pytest.fail)
    await encoded_of(broadcast, given)
    await recorder.close()
    with av.open(tmp_path / "session.mp4") as opened:
        [video] = opened.streams.video
        stamps = sorted(packet.pts for packet in opened.demux(video) if packet.pts is not None)
        assert video.time_base == Fraction(1, 90_000)
    assert stamps == given


async def test_what_was_recorded_can_be_played_if_the_server_dies(client: Client, config: ServerConfig) -> None:
    assert config.recordings is not None
    async with published(client, record=True) as (session, _):
        viewer = await watch(client, session)
        await viewer.until(pictures=150)
        [part] = config.recordings.iterdir()
        rescued = config.recordings.parent / "rescued.mp4"
        rescued.write_bytes(part.read_bytes())
        await viewer.close()
    numbers, *_ = await asyncio.to_thread(look_at, rescued)
    assert len(numbers) > 20


class Disk:
    """Says whether the disk that recordings are written to is full."""

    full = False


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()

    class FullFile(io.FileIO):
        def write(self, data: Any) -> int:
            if disk.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    monkeypatch.setattr(recording_file, "FileIO", FullFile)
    return disk


async def test_a_recording_is_kept_as_far_as_a_full_disk_took_it(tmp_path: Path, codecs: Pool, disk: Disk) -> None:
    broadcast, notes, target = Broadcast(codecs), list[str](), tmp_path / "session.mp4"
    recorder = Recorder(target, broadcast, notes.append)
    [first, *_] = await encoded_of(broadcast, [n * 3600 for n in range(120)])  # a keyframe begins a fragment every 2 s
    sounds = [SpeechChunk(first + index * CHUNK_TIME, np.zeros((CHUNK, 2), np.int16)) for index in range(240)]
    part = tmp_path / ".session.mp4.part"
    for chunk in sounds[:120]:
        recorder.sound(chunk)
    await eventually(lambda: not len(recorder._items) and part.exists() and part.stat().st_size > 5000)
    disk.full = True
    for chunk in sounds[120:]:
        recorder.sound(chunk)
    await eventually(lambda: bool(notes))
    await recorder.close()
    assert notes == ["the recording ended: No space left on device (it is kept up to there)"]
    assert names(tmp_path) == ["session.mp4"]
    with av.open(target) as opened:
        assert len([*opened.decode(opened.streams.video[0])]) >= 50


def test_what_follows_a_failed_write_is_not_written(tmp_path: Path, disk: Disk) -> None:
    file = RecordingFile(tmp_path / "session.mp4")
    file.write(b"one")
    disk.full = True
    with pytest.raises(OSError, match="No space"):
        file.write(b"two")
    disk.full = False
    with pytest.raises(OSError, match="No space"):
        file.write(b"three")
    file.keep()
    assert (tmp_path / "session.mp4").read_bytes() == b"one"


async def test_a_recording_that_has_no_picture_leaves_no_file(tmp_path: Path, codecs: Pool, disk: Disk) -> None:
    disk.full = True
    broadcast, notes = Broadcast(codecs), list[str]()
    recorder = Recorder(tmp_path / "session.mp4", broadcast, notes.append)
    await encoded_of(broadcast, [0])
    recorder.sound(SpeechChunk(12_345, np.zeros((CHUNK, 2), np.int16)))
    await eventually(lambda: bool(notes))
    await recorder.close()
    assert notes == ["the recording ended: No space left on device (nothing of it could be kept)"]
    assert not names(tmp_path)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_pushed_session_arrives_at_a_streaming_server(client: Client, port: int) -> None:
    url = f"rtmp://127.0.0.1:{port}/live/key"

    def receive() -> tuple[list[int], int, int, float]:
        return look_at(av.open(url, format="flv", options={"listen": "1", "timeout": "60"}))

    received = asyncio.create_task(asyncio.to_thread(receive))
    await listening(port, "tcp")
    async with published(client, push=url) as (session, _):
        viewer = await watch(client, session)
        await loud(viewer)
        await viewer.until(pictures=125)
        await viewer.close()
        await ask(client, "DELETE", session["urls"]["session"], session["token"])
    numbers, bright, loudest, _ = await asyncio.wait_for(received, LIMIT_S)
    assert len(numbers) > 50
    assert numbers == sorted(numbers)
    assert bright > 240
    assert loudest > 3000


async def test_a_push_that_fails_is_reported_without_its_key_and_the_session_goes_on(
    client: Client, server: Running, port: int
) -> None:
    async with published(client, push=f"rtmp://127.0.0.1:{port}/live/s3cret") as (session, _):
        viewer = await watch(client, session)
        await eventually(lambda: server.sessions.all()[0].events.counts["error"] > 0)
        state = await client.state(session)
        [event] = [one for one in state["events"] if one["type"] == "error"]
        assert event["code"] == "film"
        assert "refused" in event["message"]
        assert "s3cret" not in json.dumps(state)
        await viewer.until(pictures=len(viewer.pictures) + 10)
        await viewer.close()


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ({"record": 1}, 400, "true or false"),
        ({"push": 7}, 400, "need a text"),
        ({"push": "http://127.0.0.1/"}, 400, "rtmp://"),
        ({"push": "file:///etc/passwd"}, 400, "rtmp://"),
        ({"push": "rtmp://elsewhere.example/live/key"}, 403, "--push-to"),
    ],
)
async def test_what_may_not_be_asked_for(client: Client, options: dict[str, Any], status: int, words: str) -> None:
    answer = await ask(client, "POST", "/v1/sessions", None, json=options)
    assert (answer.status, words in answer.text) == (status, True)


async def test_a_server_without_a_folder_keeps_no_recordings(client: Client, config: ServerConfig) -> None:
    assert config.recordings is not None
    config.recordings.rmdir()
    answer = await ask(client, "POST", "/v1/sessions", None, json={"record": True})
    assert (answer.status, "--recordings" in answer.text) == (400, True)
