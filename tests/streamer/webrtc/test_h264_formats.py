"""Offers of H264 in any profile and mode that can be decoded are answered as they were made; others are named."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from streamer.errors import NoUsableTrackError
from streamer.webrtc.connection import Connection
from streamer.webrtc.sdp_offer import read_offer
from tests.streamer.support.offers import offer_of


@pytest.fixture
async def connection() -> AsyncIterator[Connection]:
    connection = Connection()
    yield connection
    await connection.close()


async def offer_with(*formats: str, direction: str = "sendonly") -> str:
    """A real peer's offer whose video names these attributes in place of its own codecs."""
    offer = await offer_of("audio", "video", direction=direction)
    audio, video = offer.split("m=video ")
    first, *rest = video.splitlines()
    port, protocol, *_ = first.split()
    numbers = [found[1] for line in formats if (found := re.match(r"a=rtpmap:(\d+)", line))]
    kept = [line for line in rest if not re.match("a=(rtpmap|fmtp|rtcp-fb)", line)]
    return "\r\n".join([f"{audio}m=video {' '.join([port, protocol, *numbers])}", *kept, *formats, ""])


def video_of(answer: str) -> list[str]:
    return [line for line in answer.split("m=video ")[1].splitlines() if re.match("a=(rtpmap|fmtp)", line)]


@pytest.mark.parametrize(
    "parameters",
    [
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f",  # Main
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f",  # Constrained High: Safari
        "packetization-mode=1;profile-level-id=640032",  # High
        "packetization-mode=0;profile-level-id=42e01f",
        "profile-level-id=42E01F",
        "packetization-mode=1",
        "profile-level-id=64001f;packetization-mode=1;level-asymmetry-allowed=1;x-google-start-bitrate=2000",
    ],
)
async def test_every_profile_that_can_be_decoded_is_answered_as_offered(
    connection: Connection, parameters: str
) -> None:
    offer = read_offer(await offer_with("a=rtpmap:106 H264/90000", f"a=fmtp:106 {parameters}"))
    assert video_of(await connection.answer(offer)) == ["a=rtpmap:106 H264/90000", f"a=fmtp:106 {parameters}"]


async def test_h264_without_parameters_is_answered_without(connection: Connection) -> None:
    offer = read_offer(await offer_with("a=rtpmap:96 H264/90000"))
    assert video_of(await connection.answer(offer)) == ["a=rtpmap:96 H264/90000"]


async def test_the_senders_own_parameter_sets_are_not_repeated(connection: Connection) -> None:
    sets = "sprop-parameter-sets=Z0IAKeKQFAe2AtwEBAaQeJEV,aM48gA=="
    offer = read_offer(
        await offer_with("a=rtpmap:96 H264/90000", f"a=fmtp:96 packetization-mode=1; {sets}; profile-level-id=4d4029")
    )
    assert video_of(await connection.answer(offer))[1] == "a=fmtp:96 packetization-mode=1;profile-level-id=4d4029"


async def test_retransmission_stays_with_its_format(connection: Connection) -> None:
    high = ["a=rtpmap:98 H264/90000", "a=fmtp:98 packetization-mode=1;profile-level-id=64001f"]
    offered = [*high, "a=rtpmap:99 rtx/90000", "a=fmtp:99 apt=98"]
    assert video_of(await connection.answer(read_offer(await offer_with(*offered)))) == offered


@pytest.mark.parametrize(
    ("formats", "words"),
    [
        (["a=rtpmap:96 H265/90000", "a=rtpmap:97 AV1/90000"], "the offer has opus, G722, PCMU, PCMA, H265, AV1"),
        (["a=rtpmap:96 H264/90000", "a=fmtp:96 profile-level-id=f4001f;packetization-mode=1"], "f4001f"),
        (["a=rtpmap:96 H264/90000", "a=fmtp:96 profile-level-id=42e01f;packetization-mode=2"], "packetization-mode 2"),
        (["a=rtpmap:96 H264/90000", "a=fmtp:96 profile-level-id=main;packetization-mode=1"], "profile-level-id main"),
    ],
)
async def test_what_cannot_be_decoded_is_named(connection: Connection, formats: list[str], words: str) -> None:
    with pytest.raises(NoUsableTrackError, match=words) as refused:
        await connection.answer(read_offer(await offer_with(*formats)))
    assert "need Opus, and VP8 or 8-bit H264 of Baseline, Main or High" in str(refused.value)


async def test_a_viewer_of_single_packets_alone_is_not_sent_fragments() -> None:
    single = ["a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=0;profile-level-id=42e01f"]
    assert not read_offer(await offer_with(*single, direction="recvonly")).h264
    high = ["a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1;profile-level-id=64001f"]
    assert read_offer(await offer_with(*high, direction="recvonly")).h264
    own = [*high, "a=rtpmap:98 H264/90000", "a=fmtp:98 packetization-mode=1;profile-level-id=42e01f"]
    assert not read_offer(await offer_with(*own, direction="recvonly")).h264
