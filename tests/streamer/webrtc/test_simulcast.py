"""Offers of several layers are answered whole, as OBS needs it, and the best layer is the one that is decoded."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from streamer.webrtc.aiortc_internals.decoders import is_keyframe
from streamer.webrtc.connection import Connection
from streamer.webrtc.sdp_offer import read_offer
from streamer.webrtc.simulcast import BETTER, FIRST_LOOK, LOOK, STREAM_ID, BestLayer
from tests.streamer.support.offers import offer_of

LARGE, SMALL = 11, 22


@pytest.fixture
async def connection() -> AsyncIterator[Connection]:
    connection = Connection()
    yield connection
    await connection.close()


async def layered_offer(layers: int) -> str:
    """An offer with that many layers, in OBS's manner: ``a=rid:0 send`` and so on, named in one line."""
    offer = await offer_of("audio", "video", direction="sendonly")
    names = [str(number) for number in range(layers)]
    lines = [f"a=extmap:9 {STREAM_ID}", *(f"a=rid:{name} send" for name in names)]
    return offer + "".join(f"{line}\r\n" for line in [*lines, f"a=simulcast:send {';'.join(names)}"])


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
async def test_every_layer_of_an_offer_is_taken(connection: Connection, layers: int) -> None:
    answer = await connection.answer(read_offer(await layered_offer(layers)))
    video = answer.split("m=video")[1].splitlines()
    names = [str(number) for number in range(layers)]
    assert [line for line in video if line.startswith("a=rid:")] == [f"a=rid:{name} recv" for name in names]
    assert f"a=simulcast:recv {';'.join(names)}" in video
    assert f"a=extmap:9 {STREAM_ID}" in video
    assert not [line for line in video if "rtx" in line]
    assert "simulcast" not in answer.split("m=video")[0]


async def test_an_offer_of_one_layer_without_a_name_is_answered_without_one(connection: Connection) -> None:
    answer = await connection.answer(read_offer(await offer_of("audio", "video", direction="sendonly")))
    assert "simulcast" not in answer
    assert "a=rid" not in answer


async def test_alternatives_and_paused_layers_are_named_once() -> None:
    offer = (await layered_offer(3)).replace("a=simulcast:send 0;1;2", "a=simulcast:send 0,1;~2;0;x")
    assert read_offer(offer).layers.names == ("0", "2")


def packet(ssrc: int, number: int, size: int) -> RtpPacket:
    made = RtpPacket(payload_type=96, sequence_number=number, timestamp=3_000 * number, ssrc=ssrc, payload=bytes(size))
    return made


def sent(best: BestLayer, seconds: float, sizes: dict[int, int], since: float = 0.0) -> list[RtpPacket]:
    """What passes of layers that send packets of these sizes, 25 a second."""
    passed: list[RtpPacket] = []
    for number in range(int(seconds * 25)):
        for ssrc, size in sizes.items():
            passed += best.add(packet(ssrc, number, size), since + number / 25)
    return passed


@pytest.mark.parametrize("order", [(LARGE, SMALL), (SMALL, LARGE)])
def test_the_layer_with_most_bytes_passes_from_its_first_packet_on(order: tuple[int, int]) -> None:
    sizes = {ssrc: 1_000 if ssrc == LARGE else 200 for ssrc in order}
    passed = sent(BestLayer(), 3, sizes)
    assert {one.ssrc for one in passed} == {LARGE}
    assert [one.sequence_number for one in passed] == list(range(75))


def test_a_layer_that_is_silent_or_much_smaller_is_left_for_another() -> None:
    best = BestLayer()
    sent(best, 3, {SMALL: 200})
    assert best.chosen == SMALL
    sent(best, 2 * LOOK, {SMALL: 200, LARGE: 1_000}, since=3)  # a browser begins with the small one
    assert (best.chosen, best.switches) == (LARGE, 1)
    sent(best, 2 * LOOK, {SMALL: 200}, since=3 + 2 * LOOK)
    assert (best.chosen, best.switches) == (SMALL, 2)


def test_layers_of_about_the_same_size_are_not_changed() -> None:
    best = BestLayer()
    sent(best, 2 * FIRST_LOOK, {LARGE: 1_000, SMALL: 900})
    sent(best, 5 * LOOK, {LARGE: 900, SMALL: int(900 * BETTER)}, since=2)
    assert (best.chosen, best.switches) == (LARGE, 0)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 1_400), st.floats(0, 0.5)), max_size=200))
def test_packets_of_one_layer_alone_pass_between_two_switches(steps: list[tuple[int, int, float]]) -> None:
    best, now = BestLayer(), 0.0
    passed: dict[int, set[int]] = {}
    for number, (ssrc, size, pause) in enumerate(steps):
        now += pause
        for one in best.add(packet(ssrc, number, size), now):
            passed.setdefault(best.switches, set()).add(one.ssrc)
    assert all(len(sources) == 1 for sources in passed.values())


@pytest.mark.parametrize(
    ("codec", "data", "alone"),
    [
        ("VP8", b"\x10\0\0", True),
        ("VP8", b"\x11\0\0", False),
        ("VP8", b"", False),
        ("H264", b"\0\0\0\1\x67\0\0\0\1\x65", True),
        ("H264", b"\0\0\0\1\x09\0\0\0\1\x65", True),
        ("H264", b"\0\0\0\1\x41\x9a", False),
    ],
)
def test_a_frame_that_can_be_decoded_alone_is_known(codec: str, data: bytes, alone: bool) -> None:
    assert is_keyframe(codec, data) is alone
