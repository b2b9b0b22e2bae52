"""Fragments of SDP: what is taken from them, and what is refused."""

from __future__ import annotations

import pytest

from streamer.errors import RequestError
from streamer.webrtc.sdp_fragment import MAX_CANDIDATES, read_fragment, write_fragment

# RFC 9725, 4.3.2, the example.
EXAMPLE = """a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
m=audio 9 RTP/AVP 0
a=mid:0
a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1
a=candidate:3471623853 1 udp 2122194687 198.51.100.1 61765 typ host generation 0 ufrag EsAw network-id 2
a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0 ufrag EsAw network-id 1
a=candidate:2154773085 1 tcp 1518214911 198.51.100.2 9 typ host tcptype active generation 0 ufrag EsAw network-id 2
a=end-of-candidates
"""


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_rfcs_example_is_understood_and_what_cannot_be_used_is_left_out(ending: str) -> None:
    fragment = read_fragment(EXAMPLE.replace("\n", ending))
    assert (fragment.username, fragment.password) == ("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1")
    assert fragment.complete
    assert [(one.ip, one.port, one.sdpMid) for one in fragment.candidates] == [
        ("192.0.2.1", 61764, "0"),
        ("198.51.100.1", 61765, "0"),
    ]


def test_hidden_addresses_and_nonsense_are_left_out() -> None:
    fragment = read_fragment(
        "a=candidate:1 1 udp 1 abc.local 5000 typ host\na=candidate:1 1 udp x\na=candidate:\na=end-of-candidates"
    )
    assert fragment.candidates == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "says nothing"),
        ("m=audio 9 RTP/AVP 0\na=mid:0\n", "says nothing"),
        ("hello\n", "need lines of SDP"),
        ('{"candidate": ""}', "need lines of SDP"),
        ("a=ice-ufrag:abcd\n", "only one of"),
        ("a=ice-ufrag:ab\na=ice-pwd:" + "p" * 24, "ice-ufrag"),
        ("a=ice-ufrag:abcd\na=ice-pwd:" + "p" * 21, "ice-pwd"),
        ("a=ice-ufrag:ab cd\na=ice-pwd:" + "p" * 24, "ice-ufrag"),
        ("a=candidate:1 1 udp 1 10.0.0.1 9 typ host\n" * (MAX_CANDIDATES + 1), "more than 64"),
    ],
)
def test_what_is_no_fragment_is_refused_with_a_reason(text: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        read_fragment(text)


def test_what_is_written_is_read_again() -> None:
    candidates = list(read_fragment(EXAMPLE).candidates)
    again = read_fragment(write_fragment("abcd", "p" * 22, "7", candidates))
    assert (again.username, again.password, again.complete) == ("abcd", "p" * 22, True)
    assert [(one.ip, one.port, one.sdpMid) for one in again.candidates] == [
        (one.ip, one.port, "7") for one in candidates
    ]
