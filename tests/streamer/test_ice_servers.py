"""ICE servers as an operator names them, and as clients are told."""

from __future__ import annotations

import pytest

from mytalk.errors import OptionError
from streamer.ice_servers import IceServer


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


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stun.example.net",
        "http://stun.example.net",
        "turn:turn.example.net alice",
        "turn:turn.example.net alice s3cret more",
        'turn:turn.example.net alice s"cret',
        "turn:turn.example.net>;x alice s3cret",
        "turn:turn.example.net alice s3cret\r\nSet-Cookie: x",
    ],
)
def test_what_is_none_is_refused_without_its_secret(text: str) -> None:
    with pytest.raises(OptionError) as refusal:
        IceServer.parse(text)
    assert "cret" not in str(refusal.value)
    assert "\n" not in str(refusal.value)
