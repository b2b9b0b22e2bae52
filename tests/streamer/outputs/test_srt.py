"""Sessions pushed by SRT: to a real receiver, through a program that is never in the way and never left behind."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from streamer.config.server_config import ServerConfig
from streamer.errors import ForbiddenError, RequestError
from streamer.executors import Pool
from streamer.http.server import Running
from streamer.media.audio import CHUNK, CHUNK_TIME, SpeechChunk
from streamer.outputs import recorder, srt
from streamer.outputs.push_targets import check_leave, check_url, look_ahead
from streamer.outputs.recorder import Recorder
from streamer.outputs.write_queue import WriteQueue
from streamer.webrtc.broadcast import Broadcast
from streamer.webrtc.encoded import Encoded
from tests.streamer.support.broadcasts import encoded_of
from tests.streamer.support.http_client import Client, ask
from tests.streamer.support.ports import free_port, listening
from tests.streamer.support.processes import push_senders
from tests.streamer.support.recordings import look_at
from tests.streamer.support.waiting import LIMIT_S, eventually
from tests.streamer.support.whip_clients import loud, published, watch

PASSPHRASE, STREAM_ID = "a long s3cret", "#!::r=live/k3y,m=publish"
QUERY = "passphrase=a+long+s3cret&streamid=%23!::r=live/k3y,m=publish&latency=200000"

needs_srt = pytest.mark.skipif(srt.program() is None, reason="no ffmpeg with SRT on the PATH (apt install ffmpeg)")


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def config(config: ServerConfig, port: int) -> ServerConfig:
    return dataclasses.replace(config, push_to=(f"srt://127.0.0.1:{port}", "srt://nowhere.invalid:"))


@asynccontextmanager
async def receiver(port: int, target: Path, options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """FFmpeg waits for one sender and keeps its bytes."""
    url = f"srt://127.0.0.1:{port}?mode=listener&{options}"
    arguments = ("-loglevel", "error", "-f", "data", "-i", url, "-map", "0", "-c", "copy", "-f", "data", str(target))
    process = await asyncio.create_subprocess_exec("ffmpeg", *arguments, stdin=-3, stdout=-3, stderr=-3)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def udp_bound(port: int) -> None:
    """Returns when the receiver can be sent to."""
    await listening(port, "udp")


@needs_srt
async def test_a_session_arrives_at_a_receiver_and_its_secrets_are_nowhere_to_be_seen(
    client: Client, port: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    target = tmp_path / "received.ts"
    async with receiver(port, target, f"passphrase={PASSPHRASE}") as listening:
        await udp_bound(port)
        async with published(client, push=f"srt://127.0.0.1:{port}?{QUERY}") as (session, _):
            viewer = await watch(client, session)
            await loud(viewer)
            await viewer.until(pictures=125)
            [sender] = push_senders().values()
            state = await client.state(session)
            await viewer.close()
            await ask(client, "DELETE", session["urls"]["session"], session["token"])
        assert not push_senders(besides=listening.pid)
        await asyncio.wait_for(listening.wait(), LIMIT_S)
    numbers, bright, loudest, _ = await asyncio.to_thread(look_at, target)
    assert len(numbers) > 50
    assert numbers == sorted(numbers)
    assert bright > 240
    assert loudest > 3000
    assert b"Synthetic" in target.read_bytes()
    assert f"srt://127.0.0.1:{port}?latency=200000" in sender
    for secret in (PASSPHRASE, "s3cret", "k3y"):
        assert secret not in json.dumps(state)
        assert secret not in caplog.text
        assert secret not in sender


@needs_srt
@pytest.mark.parametrize(
    ("host", "words"), [("127.0.0.1", "did not answer, or refused"), ("nowhere.invalid", "not known")]
)
async def test_a_receiver_that_is_not_there_is_reported_and_the_session_goes_on(
    client: Client, server: Running, port: int, host: str, words: str
) -> None:
    async with published(client, push=f"srt://{host}:{port}?streamid=k3y") as (session, _):
        viewer = await watch(client, session)
        await eventually(lambda: server.sessions.all()[0].events.counts["error"] > 0)
        state = await client.state(session)
        [event] = [one for one in state["events"] if one["type"] == "error"]
        assert (event["code"], words in event["message"]) == ("film", True), event
        assert "k3y" not in json.dumps(state)
        assert not push_senders()
        await viewer.until(pictures=len(viewer.pictures) + 10)
        await viewer.close()


@needs_srt
async def test_a_receiver_that_leaves_is_reported_and_the_session_goes_on(
    client: Client, server: Running, port: int, tmp_path: Path
) -> None:
    async with receiver(port, tmp_path / "received.ts", "") as listening:
        await udp_bound(port)
        async with published(client, push=f"srt://127.0.0.1:{port}") as (session, _):
            viewer = await watch(client, session)
            await viewer.until(pictures=50)
            assert push_senders()
            listening.kill()
            await eventually(lambda: server.sessions.all()[0].events.counts["error"] > 0)
            [event] = [one for one in (await client.state(session))["events"] if one["type"] == "error"]
            assert "broke" in event["message"]
            assert not push_senders()
            await viewer.until(pictures=len(viewer.pictures) + 10)
            await viewer.close()


# --- programs that do not do what they should


def pretend(folder: Path, script: str) -> str:
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A program that reads nothing and never ends."""
    program = srt.Program(pretend(tmp_path, "exec sleep 600"), hides_secrets=True)
    monkeypatch.setattr(srt, "library_speaks", lambda: False)
    monkeypatch.setattr(srt, "program", lambda: program)
    yield
    assert not push_senders()


def picture(index: int, size: int = 100) -> Encoded:
    """Not one that can be seen, but as large: a coded slice (H.264, 7.3.1) of nothing."""
    return Encoded(b"\0\0\0\1\x41" + bytes(size), [], index * 640, index * 3600, 0, key=False)


async def stand_still(sent: Recorder, broadcast: Broadcast) -> None:
    """Returns when the push writes more than a pipe takes."""
    await encoded_of(broadcast, [0])
    sent.add(picture(1, size=1 << 20))
    for index in range(20):  # the sound beside it, without which a picture waits
        sent.sound(SpeechChunk(12_345 + index * CHUNK_TIME, np.zeros((CHUNK, 2), np.int16)))
    await eventually(lambda: bool(push_senders()))
    await asyncio.sleep(0.5)
    assert len(sent._items)


async def test_a_program_that_stands_still_ends_the_push_and_is_killed(
    stuck: None, monkeypatch: pytest.MonkeyPatch, codecs: Pool
) -> None:
    monkeypatch.setattr(recorder, "WriteQueue", partial(WriteQueue, most_items=60))
    broadcast, notes = Broadcast(codecs), list[str]()
    sent = Recorder("srt://127.0.0.1:9", broadcast, notes.append)
    await stand_still(sent, broadcast)
    for index in range(2, 70):  # whoever waited for the program would wait for 600 s
        sent.add(picture(index))
    assert notes == ["the push to srt://127.0.0.1:9 ended: what it is written to stands still"]
    await eventually(lambda: not sent._thread.is_alive())
    assert not push_senders()
    await sent.close()
    assert len(notes) == 1


async def test_the_end_of_a_session_ends_a_program_that_stands_still(
    stuck: None, monkeypatch: pytest.MonkeyPatch, codecs: Pool
) -> None:
    monkeypatch.setattr(recorder, "CLOSE_TIMEOUT", 0.5)
    broadcast = Broadcast(codecs)
    sent = Recorder("srt://127.0.0.1:9", broadcast, pytest.fail)
    await stand_still(sent, broadcast)
    await asyncio.wait_for(sent.close(), LIMIT_S)
    assert not sent._thread.is_alive()


async def test_a_push_that_ends_before_it_began_runs_no_program(stuck: None, codecs: Pool) -> None:
    sent = Recorder("srt://127.0.0.1:9", Broadcast(codecs), pytest.fail)
    await sent.close()


async def test_a_server_that_cannot_push_by_srt_says_so_at_once(
    client: Client, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(srt, "library_speaks", lambda: False)
    for folder, script in (("none", None), ("broken", "exit 1"), ("mute", "echo Input: srt Output: rtmp")):
        (tmp_path / folder).mkdir()
        if script is not None:
            pretend(tmp_path / folder, script)
        monkeypatch.setenv("PATH", str(tmp_path / folder))
        answer = await ask(client, "POST", "/v1/sessions", None, json={"push": f"srt://127.0.0.1:{port}"})
        assert (answer.status, "an ffmpeg with SRT on the PATH" in answer.text) == (400, True), folder


async def test_an_operator_who_allows_what_cannot_be_done_gets_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(srt, "library_speaks", lambda: False)
    look_ahead(["rtmp://live.example/"])
    monkeypatch.setenv("PATH", str(tmp_path))
    look_ahead(["rtmp://live.example/"])
    assert not caplog.records
    look_ahead(["srt://live.example:"])
    assert "an ffmpeg with SRT on the PATH" in caplog.text


@needs_srt
def test_a_program_that_shows_secrets_is_used_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pretend(tmp_path, 'case "$*" in *-protocols*) echo Input: Output: srt;; *) echo "Connection to x failed";; esac')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = srt.program()
    assert found is not None
    assert not found.hides_secrets
    assert "passphrases among the processes" in caplog.text
    with srt._secret_arguments(srt.read_url(f"srt://a:1?{QUERY}"), hidden=False) as (options, descriptors):
        assert (options, descriptors) == (["-passphrase", PASSPHRASE, "-srt_streamid", STREAM_ID], ())


# --- addresses


def test_what_a_url_says() -> None:
    read = srt.read_url(f"srt://[::1]:9000?{QUERY}&mode=caller&pbkeylen=32")
    assert read == srt.Receiver("srt://[::1]:9000?latency=200000&pbkeylen=32", PASSPHRASE, STREAM_ID)
    assert srt.read_url("srt://live.example:9000?streamid=#!::r=a,m=publish").stream_id == "#!::r=a,m=publish"


@pytest.mark.parametrize(
    "rest",
    [
        "live.example",
        "live.example:0",
        "live.example:70000",
        "me:pw@live.example:9000",
        ":9000",
        "live.example:9000/path",
        "live.example:9000?mode=listener",
        "live.example:9000?mode=rendezvous",
        "live.example:9000?localport=22",
        "live.example:9000?latency=-1",
        "live.example:9000?latency=a",
        "live.example:9000?passphrase=2short",
        "live.example:9000?streamid=",
        "live.example:9000?streamid=a%0Ampegts_flags=x",
        "live.example:9000?streamid=%00",
    ],
)
def test_urls_that_srt_would_not_take_or_that_would_do_something_else(rest: str) -> None:
    with pytest.raises(RequestError, match=r"^push ") as refused:
        check_url("srt://" + rest)
    assert "short" not in str(refused.value)


@pytest.mark.parametrize("url", ["srt://a:1?streamid=a b", "rtmp://a/b\n", "rtmp://ä/b", "rtmp://" + "a" * 2000])
def test_what_is_no_url_at_all(url: str) -> None:
    with pytest.raises(RequestError):
        check_url(url)


@pytest.mark.parametrize(
    ("beginning", "allowed", "refused"),
    [
        ("rtmp://live.example", "rtmp://live.example/app/key", "rtmp://live.example.evil/app"),
        ("rtmp://live.example", "rtmp://live.example:1935/app/key", "rtmp://live.example:pw@evil.example/app"),
        ("rtmp://live.example/app/", "rtmp://live.example/app/key", "rtmp://live.example/other/"),
        ("srt://live.example:", "srt://live.example:9000?streamid=a", "srt://live.example:x@evil.example:9000"),
        ("srt://live.example:900", "srt://live.example:900?streamid=a", "srt://live.example:9000"),
        ("rtmps://", "rtmps://anywhere.example/app", "rtmp://anywhere.example/app"),
        ("rtmp://live.example/", "rtmp://live.example:1935/app/key", "rtmp://live.example:1936/app"),
        ("rtmp://live.example:1935/", "rtmp://live.example/app/key", "rtmp://live.example:19350/app"),
        ("rtmp://live.example:1935", "RTMP://Live.Example/app/key", "rtmp://live.example:19350/app"),
        ("rtmps://live.example:443/app", "rtmps://live.example/app", "rtmps://live.example:1935/app"),
        ("rtmp://live.example/", "rtmp://live.example/app", "rtmp://live[.example/app"),
    ],
)
def test_an_allowed_beginning_is_no_leave_for_another_host(beginning: str, allowed: str, refused: str) -> None:
    check_leave(allowed, [beginning])
    with pytest.raises(ForbiddenError):
        check_leave(refused, [beginning])
    with pytest.raises(ForbiddenError):
        check_leave(allowed, [])
