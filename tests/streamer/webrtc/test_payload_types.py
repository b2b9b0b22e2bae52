"""Offers that name payload types below 96, as browsers do that have used up those above, are answered with them."""

from __future__ import annotations

import re

import pytest

from streamer.webrtc.aiortc_internals.payloads import set_payload_types
from streamer.webrtc.payload_types import with_kept_types
from streamer.webrtc.sdp_offer import read_offer
from tests.streamer.support.http_client import Client, bearer
from tests.streamer.support.offers import offer_of
from tests.streamer.support.peers import Viewer
from tests.streamer.support.sounds import babble
from tests.streamer.support.tracks import Camera, Microphone

LOW = {96: 63, 97: 35, 98: 36, 99: 40, 100: 41, 101: 45, 102: 46}
"""What aiortc offers -> what it could have offered."""

OFFER = "\n".join(
    """v=0
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0
a=rtpmap:111 opus/48000/2
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:0 PCMU/8000
m=video 9 UDP/TLS/RTP/SAVPF 96 97 35 36 45 46 70
a=rtpmap:96 VP9/90000
a=rtcp-fb:96 nack
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:35 VP8/90000
a=rtcp-fb:35 nack pli
a=rtpmap:36 rtx/90000
a=fmtp:36 apt=35
a=rtpmap:45 H264/90000
a=fmtp:45 packetization-mode=1;profile-level-id=42e01f
a=rtpmap:46 rtx/90000
a=fmtp:46 rtx-time=200;apt=45
a=rtpmap:70 VP8/90000
a=sendonly
""".splitlines()
)

READ = """m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:98 H264/90000
a=fmtp:98 packetization-mode=1;profile-level-id=42e01f
a=rtpmap:99 rtx/90000
a=fmtp:99 rtx-time=200;apt=98
a=sendonly
"""


def renamed(sdp: str, types: dict[int, int]) -> str:
    """A text with other payload types, wherever it names them."""

    def other(found: re.Match[str]) -> str:
        return found[1] + str(types.get(int(found[2]), int(found[2])))

    sdp = re.sub(r"(?m)(^a=(?:rtpmap|fmtp|rtcp-fb):|\bapt=)(\d+)", other, sdp)
    lines = [re.sub(r"( )(\d+)", other, line) if line.startswith("m=") else line for line in sdp.splitlines()]
    return "\r\n".join([*lines, ""])


def sections_of(sdp: str) -> list[str]:
    return [f"{one}\n".replace("\n\n", "\n") for one in re.split(r"(?m)^(?=m=)", sdp)]


def test_formats_below_96_are_read_by_numbers_that_are_free() -> None:
    [_, audio, video], offered = with_kept_types(sections_of(OFFER))
    assert audio == "m=audio 9 UDP/TLS/RTP/SAVPF 111\na=rtpmap:111 opus/48000/2\n"
    assert video == READ
    assert offered == {96: 35, 97: 36, 98: 45, 99: 46}


def test_an_offer_without_such_formats_stays_as_it_is() -> None:
    sections = sections_of(OFFER.replace("35", "105").replace("36", "106").replace("45", "107").replace("46", "108"))
    assert with_kept_types(sections) == (sections, {})


def test_what_finds_no_free_number_is_left_out() -> None:
    many = [*range(96, 128), 40, 41]
    lines = [f"a=rtpmap:{number} VP8/90000\n" for number in many]
    section = f"m=video 9 UDP/TLS/RTP/SAVPF {' '.join(map(str, many))}\n{''.join(lines)}"
    [read], offered = with_kept_types([section])
    assert offered == {}
    assert read.splitlines()[0].split()[3:] == [str(number) for number in range(96, 128)]


@pytest.mark.parametrize("codec", ["vp8", "h264"])
async def test_a_call_by_formats_below_96_is_heard_and_seen(client: Client, codec: str) -> None:
    session = await client.create()
    peer = Viewer(Microphone(babble(5)), Camera())
    back = {low: kept for kept, low in LOW.items()}
    offer = await peer.offer()
    if codec == "h264":  # all that it offers
        offer = re.sub(r"(?m)^a=(rtpmap|fmtp|rtcp-fb):9[78] .*\r\n", "", offer).replace(" 97 98 ", " ")
    url = client.url + session["urls"]["webrtc"]
    body = {"type": "offer", "sdp": renamed(offer, LOW)}
    async with client.http.post(url, json=body, headers=bearer(session)) as response:
        answer = (await response.json())["sdp"]
    named = {int(number) for number in re.findall(r"a=rtpmap:(\d+)", answer)}
    assert {63, 35 if codec == "vp8" else 40} <= named <= back.keys()
    await peer.take(renamed(answer, back))
    for transceiver in peer.connection.getTransceivers():  # before media flows
        set_payload_types(transceiver, LOW)
    await peer.until(pictures=10, sounds=20)
    await peer.close()


async def test_other_profiles_of_h264_below_96_are_answered_as_they_were_offered() -> None:
    high = (await offer_of("video", direction="sendonly")).replace("42e01f", "64001f").replace("42001f", "4d001f")
    offer = read_offer(renamed(high, LOW))
    assert offer.h264 == {
        40: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f",
        45: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f",
    }
    assert sorted(offer.payload_types.values()) == [35, 36, 40, 41, 45, 46]
