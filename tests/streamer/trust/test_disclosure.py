"""Clients learn from the protocol itself that what they get is synthetic."""

from __future__ import annotations

from streamer.trust.disclosure import ATTRIBUTE, LINK, declared


def test_an_answer_says_so_before_its_sections() -> None:
    said = declared("v=0\r\nt=0 0\r\nm=audio 9 x\r\nm=video 9 y\r\n")
    assert said == f"v=0\r\nt=0 0\r\n{ATTRIBUTE}\r\nm=audio 9 x\r\nm=video 9 y\r\n"
    assert ATTRIBUTE == "a=digital-source-type:compositeWithTrainedAlgorithmicMedia"


def test_the_link_is_a_type() -> None:
    assert LINK.endswith('compositeWithTrainedAlgorithmicMedia>; rel="type"')
