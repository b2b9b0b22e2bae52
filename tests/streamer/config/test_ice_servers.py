"""ICE servers as an operator names them, and as clients are told."""

from __future__ import annotations

import asyncio
import base64
import hmac
import shutil
import socket
import time
from pathlib import Path

import pytest
from aioice import Connection

from mytalk.errors import OptionError
from streamer.config.ice_servers import LOGIN_SECONDS, IceServer
from streamer.webrtc import connection as webrtc
from streamer.webrtc.sdp_offer import read_offer
from tests.streamer.support.aiortc_peer import gather_for
from tests.streamer.support.offers import offer_of
from tests.streamer.support.ports import free_port
from tests.streamer.support.waiting import LIMIT_S


def test_a_stun_server_is_a_url() -> None:
    server = IceServer.parse("stun:stun.example.net")
    assert server.link() == '<stun:stun.example.net>; rel="ice-server"'
    assert server.to_json() == {"urls": "stun:stun.example.net"}
    assert (server.to_rtc().urls, server.to_rtc().username) == ("stun:stun.example.net", None)


def test_a_turn_server_has_a_user_and_a_secret() -> None:
    server = IceServer.parse("turn:turn.example.net?transport=udp alice s3cret")
    assert server.link() == (
        '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="alice"; credential="s3cret"; '
        'credential-type="password"'
    )
    assert server.to_json() == {
        "urls": "turn:turn.example.net?transport=udp",
        "username": "alice",
        "credential": "s3cret",
    }
    assert (server.to_rtc().username, server.to_rtc().credential) == ("alice", "s3cret")


def test_of_a_shared_secret_everybody_gets_a_login_that_expires() -> None:
    server = IceServer.parse("turn:turn.example.net secret=s3cret")
    before = int(time.time())
    one, other = server.to_json(), server.to_json()
    expires, _, user = one["username"].partition(":")
    assert before + LOGIN_SECONDS <= int(expires) <= time.time() + LOGIN_SECONDS
    assert (user, one["credential"]) != (other["username"].partition(":")[2], other["credential"])
    assert base64.b64decode(one["credential"]) == hmac.digest(b"s3cret", one["username"].encode(), "sha1")
    assert server.to_rtc().username != server.to_rtc().username
    assert server.to_rtc().credential
    for shown in (server.link(), repr(server), str(one), server.masked()):
        assert "s3cret" not in shown
    assert server.masked() == "turn:turn.example.net secret=***"


async def test_a_relay_that_does_not_answer_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc, "GATHER_TIMEOUT", 0.2)
    gather_for(monkeypatch, 10 * LIMIT_S)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        relay = IceServer.parse(f"turn:127.0.0.1:{silent.getsockname()[1]} secret=s3cret")
        connection = webrtc.Connection([relay])
        answer = await asyncio.wait_for(connection.answer(read_offer(await offer_of("audio", "video"))), LIMIT_S)
        assert "typ host" in answer
        assert silent.recv(2000)  # it was asked
        await connection.close()


async def relays(port: int, secret: str) -> bool:
    """Whether the TURN server opens a relay for a login of that secret."""
    username, password = IceServer.parse(f"turn:127.0.0.1:{port} secret={secret}").login()
    connection = Connection(True, turn_server=("127.0.0.1", port), turn_username=username, turn_password=password)
    await connection.gather_candidates()
    kinds = {candidate.type for candidate in connection.local_candidates}
    await connection.close()
    return "relay" in kinds


@pytest.mark.skipif(shutil.which("turnserver") is None, reason="no coturn here (apt install coturn)")
async def test_coturn_takes_such_a_login_and_none_of_another_secret(tmp_path: Path) -> None:
    port = free_port()
    options = f"-n --use-auth-secret --static-auth-secret=s3cret --realm=r --listening-port={port} --no-tls --no-dtls"
    options += f" --no-cli --listening-ip=127.0.0.1 --relay-ip=127.0.0.1 --pidfile={tmp_path / 'pid'} --log-file=stdout"
    process = await asyncio.create_subprocess_exec("turnserver", *options.split(), stdout=-3, stderr=-3)
    try:
        async with asyncio.timeout(LIMIT_S):
            while not await relays(port, "s3cret"):  # noqa: ASYNC110 (it begins to listen some time)
                await asyncio.sleep(0.5)
        assert not await relays(port, "another")
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stun.example.net",
        "http://stun.example.net",
        "turn:turn.example.net alice",
        "turn:turn.example.net alice s3cret more",
        "turn:turn.example.net secret=",
        'turn:turn.example.net secret=s"cret',
        'turn:turn.example.net alice s"cret',
        "turn:turn.example.net>;x alice s3cret",
        "turn:turn.example.net alice s3cret\r\nSet-Cookie: x",
    ],
)
def test_what_is_none_is_refused_without_its_secret(text: str) -> None:
    with pytest.raises(OptionError) as refusal:
        IceServer.parse(text)
    assert not any(secret in str(refusal.value) for secret in ("s3cret", 's"cret'))
    assert "\n" not in str(refusal.value)
