"""Data sections of offers: refused in the answer, in their own place, while audio and video are answered."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from streamer.errors import RequestError
from streamer.webrtc.sdp_offer import read_offer
from tests.streamer.support.http_client import Client
from tests.streamer.support.peers import Viewer
from tests.streamer.support.whip_clients import post, without_candidates


async def offer_with_data(*kinds: str) -> str:
    """The offer of a peer with a data channel, and a section of each of ``kinds``."""
    viewer = Viewer(receive=kinds)
    viewer.connection.createDataChannel("chat")
    try:
        return without_candidates(await viewer.offer())
    finally:
        await viewer.close()


def data_first(sdp: str) -> str:
    """Returns the offer with its data section before the others."""
    head, *media, data = re.split(r"(?m)^(?=m=)", sdp)
    return "".join([head, data, *media])


def sections(sdp: str) -> list[tuple[str, bool, str]]:
    """Kind, whether it is refused, and name of each section."""
    found = [one.splitlines() for one in re.split(r"(?m)^(?=m=)", sdp)[1:]]
    mids = [next(line.removeprefix("a=mid:") for line in lines if line.startswith("a=mid:")) for lines in found]
    first = [lines[0].removeprefix("m=").split() for lines in found]
    return [(kind, port == "0", mid) for (kind, port, *_), mid in zip(first, mids, strict=True)]


@pytest.mark.parametrize("order", [str, data_first])
async def test_a_data_section_is_refused_and_the_others_answered(client: Client, order: Callable[[str], str]) -> None:
    offer = order(await offer_with_data("audio", "video"))
    session = await client.create(source="portrait", speech="demo")
    answer = await post(client, session["urls"]["whep"], session["view_token"], offer)
    assert answer.status == 201
    assert sections(answer.text) == [(kind, kind == "application", mid) for kind, _, mid in sections(offer)]
    [bundle] = re.findall(r"a=group:BUNDLE (.*)\r\n", answer.text)
    assert bundle.split() == [mid for kind, refused, mid in sections(answer.text) if not refused]


async def test_an_offer_without_audio_and_video_is_refused() -> None:
    with pytest.raises(RequestError, match="need at least one of audio or video"):
        read_offer(await offer_with_data())


async def test_the_bundle_of_the_rest_keeps_its_names() -> None:
    offer = read_offer(await offer_with_data("audio"))
    assert offer.data is not None
    assert (offer.data.index, offer.data.protocol, offer.data.format) == (1, "UDP/DTLS/SCTP", "webrtc-datachannel")
    assert "m=application" not in offer.sdp
    assert "a=group:BUNDLE 0\r\n" in offer.sdp
    assert offer.complete("v=0\r\nm=audio 9 x 0\r\na=mid:0\r\n").endswith(
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n"
    )
