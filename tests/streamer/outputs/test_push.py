"""Sessions pushed by RTMP, from a process that can be ended: servers that accept and stay silent, refuse, or leave."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from streamer.config.server_config import ServerConfig
from streamer.executors import Pool
from streamer.http.server import Running
from streamer.outputs.push_process import PushCommand
from streamer.outputs.push_worker import CONNECTED
from streamer.outputs.recorder import Recorder
from streamer.webrtc.broadcast import Broadcast
from tests.streamer.support.broadcasts import encoded_of
from tests.streamer.support.honest_session import honest_session
from tests.streamer.support.http_client import Client
from tests.streamer.support.ports import free_port, listening
from tests.streamer.support.processes import push_senders
from tests.streamer.support.waiting import LIMIT_S, eventually

ACCEPT = """
import socket, sys, time
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    accepted = server.accept()
    print("accepted", flush=True)
    time.sleep(10)
"""
"""Accepts and says nothing. It ends by itself, or nothing would end a server that stands still with it."""

RECEIVE = """
import av, sys
with av.open(sys.argv[1], format="flv", options={"listen": "1"}) as opened:
    for packet in opened.demux(opened.streams.video[0]):
        print("received", flush=True)
"""

LIMITED = "import sys; from streamer.outputs import push_worker as w; w.CONNECT_TIMEOUT = 1; sys.exit(w.main())"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def config(config: ServerConfig, port: int) -> ServerConfig:
    return dataclasses.replace(config, push_to=(f"rtmp://127.0.0.1:{port}/live/",))


@asynccontextmanager
async def receiver(script: str, argument: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process of its own: PyAV's share of this one's lock would hold up the server."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(argument), stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), LIMIT_S)).decode().strip()


async def test_a_receiver_that_accepts_and_stays_silent_delays_nobody(
    client: Client, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"rtmp://127.0.0.1:{port}/live/s3cret"
    async with receiver(ACCEPT, port) as silent, honest_session(client) as honest:
        await listening(port, "tcp")
        async with honest_session(client, push=url):
            assert await line_of(silent) == "accepted"
            await honest.goes_on(20)
            [(pid, arguments)] = push_senders(besides=silent.pid).items()
            surroundings = await asyncio.to_thread(Path(f"/proc/{pid}/environ").read_text)
        await eventually(lambda: not push_senders(besides=silent.pid))
        assert honest.felt().sound_gap_ms < 5000
    assert "push_worker" in arguments
    for place in (arguments, surroundings, caplog.text):
        assert "s3cret" not in place


def test_a_worker_ends_itself_where_its_receiver_stays_silent(port: int) -> None:
    with subprocess.Popen([sys.executable, "-c", ACCEPT, str(port)], stdout=subprocess.PIPE) as silent:
        asyncio.run(listening(port, "tcp"))
        url = f"rtmp://127.0.0.1:{port}/live/s3cret"
        worker = subprocess.Popen(
            [sys.executable, "-c", LIMITED], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        _, stderr = worker.communicate(url + "\n", timeout=LIMIT_S)
        silent.kill()
    assert "nothing came within" in PushCommand(url).reason(stderr, worker.returncode)
    assert "s3cret" not in stderr


async def test_a_receiver_that_leaves_is_named_and_the_session_goes_on(
    client: Client, server: Running, port: int
) -> None:
    url = f"rtmp://127.0.0.1:{port}/live/s3cret"
    async with receiver(RECEIVE, url) as leaving:
        await listening(port, "tcp")
        async with honest_session(client, push=url) as honest:
            assert await line_of(leaving) == "received"
            leaving.kill()
            events = server.sessions.all()[0].events
            await eventually(lambda: events.counts["error"] > 0)
            [event] = [one for one in (await client.state(honest.session))["events"] if one["type"] == "error"]
            assert event["message"].startswith(f"the push to rtmp://127.0.0.1:{port} ended: the connection broke")
            assert "s3cret" not in json.dumps(event)
            assert not push_senders(besides=leaving.pid)
            await honest.goes_on()


async def test_the_end_of_a_session_ends_a_push_that_still_connects(port: int, codecs: Pool) -> None:
    async with receiver(ACCEPT, port) as silent:
        await listening(port, "tcp")
        broadcast = Broadcast(codecs)
        push = Recorder(f"rtmp://127.0.0.1:{port}/live/key", broadcast, pytest.fail)
        await encoded_of(broadcast, [0])
        assert await line_of(silent) == "accepted"
        await asyncio.wait_for(push.close(), LIMIT_S)
        assert not push_senders(besides=silent.pid)


@pytest.mark.parametrize(
    ("stderr", "status", "reason"),
    [
        ("Connection refused\n", 1, "the receiver did not accept it (Connection refused)"),
        ("", -14, "the receiver did not accept it (nothing came within 5 s)"),
        ("", 1, "the receiver did not accept it (its process ended)"),
        (f"{CONNECTED}\nBroken pipe\n", 1, "the connection broke (Broken pipe)"),
        (f"{CONNECTED}\n", -14, "the connection broke (the receiver takes nothing)"),
        (f"{CONNECTED}\n", -9, "the connection broke (its process ended)"),
    ],
)
def test_the_reason_of_an_early_end(stderr: str, status: int, reason: str) -> None:
    command = PushCommand("rtmp://live.example/app/s3cret")
    assert command.reason(stderr, status) == reason
    assert "s3cret" not in repr(command)
