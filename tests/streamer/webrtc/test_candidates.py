"""Addresses that a peer names: the server sends checks to peers, and to nothing else of its network."""

from __future__ import annotations

import pytest

from streamer.errors import RequestError
from streamer.webrtc.candidates import is_usable
from streamer.webrtc.sdp_fragment import read_fragment
from streamer.webrtc.sdp_offer import read_offer
from tests.streamer.support.offers import GOOD
from tests.streamer.support.whip_clients import without_candidates

NO_PEERS = ["127.0.0.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "169.254.169.254", "fe80::1", "224.0.0.251"]
NO_PEERS += ["ff02::fb", "255.255.255.255", "printer.local", "PRINTER.LOCAL", "printer.local.", "localhost", "10.0.0"]


@pytest.mark.parametrize("address", ["10.0.0.7", "192.168.1.9", "203.0.113.5", "2001:db8::7", "fd00::7"])
def test_a_peers_address_is_used(address: str) -> None:
    assert is_usable(address, 50_000)
    assert not is_usable(address, 53)
    assert not is_usable(address, 0)
    assert not is_usable(address, 65_536)


@pytest.mark.parametrize("space", [" ", "\t", "  "])
@pytest.mark.parametrize("address", NO_PEERS)
def test_another_address_is_left_out_of_offers_and_fragments(address: str, space: str) -> None:
    named = [f"a=candidate:1 1 udp 2130706431 {one}{space}5000 typ host" for one in (address, "10.0.0.7")]
    offer = read_offer(without_candidates(GOOD) + "\r\n".join([*named, ""]))
    assert address + space not in offer.sdp
    assert "10.0.0.7" in offer.sdp
    assert offer.candidates == 2
    fragment = read_fragment("\r\n".join(["m=audio 9 RTP/AVP 0", "a=mid:0", *named, ""]))
    assert [candidate.ip for candidate in fragment.candidates] == ["10.0.0.7"]


def test_a_fragment_of_such_addresses_alone_is_one_of_none() -> None:
    hidden = "a=candidate:1 1 udp 2130706431 printer.local\t5000 typ host\r\n"
    assert read_fragment(hidden).candidates == ()
    with pytest.raises(RequestError, match="more than 64"):
        read_fragment(65 * hidden)
