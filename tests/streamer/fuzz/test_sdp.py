"""Damaged SDP offers and fragments: an error that says what is needed, or an answer; and nothing is left of either."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import RequestError
from streamer.executors import Pool
from streamer.http.server import Running
from streamer.webrtc.broadcast import Broadcast
from streamer.webrtc.connection import Connection
from streamer.webrtc.peer import Peer
from streamer.webrtc.sdp_fragment import read_fragment
from streamer.webrtc.sdp_offer import read_offer
from tests.streamer.support.fuzzing import damaged_lines, examples, nothing_went_wrong
from tests.streamer.support.http_client import Client, ask
from tests.streamer.support.offers import GOOD, damaged
from tests.streamer.support.peers import Viewer
from tests.streamer.support.waiting import eventually
from tests.streamer.support.whip_clients import post

FRAGMENT = [
    "a=ice-ufrag:EsAw",
    "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1",
    "m=audio 9 RTP/AVP 0",
    "a=mid:0",
    "a=candidate:1387637174 1 udp 2122260223 127.0.0.1 61764 typ host generation 0 ufrag EsAw network-id 1",
    "a=candidate:473322822 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active generation 0 ufrag EsAw network-id 1",
    "a=candidate:1 1 udp 1 ::1 9 typ host",
    "a=end-of-candidates",
]


def refusal(read: Callable[[str], object], text: str) -> str:
    """The reason for which a text is refused; nothing where it is read."""
    try:
        read(text)
    except RequestError as error:
        return str(error) or "no reason"
    return ""


@examples(300)
@given(damaged_lines(GOOD.splitlines()) | st.text(max_size=300))
def test_an_offer_is_read_or_refused(text: str) -> None:
    assert len(refusal(read_offer, text)) < 600  # it does not send everything back


@examples(300)
@given(damaged_lines(FRAGMENT) | st.text(max_size=200))
def test_a_fragment_is_read_or_refused(text: str) -> None:
    for around in (text, f"a=candidate:{text}", f"a={text}", f"a=ice-ufrag:{text}"):
        assert len(refusal(read_fragment, around)) < 600


async def test_no_damaged_offer_trips_the_answer_or_leaves_anything(codecs: Pool) -> None:
    rng = random.Random(7)
    before = len(asyncio.all_tasks())
    answered = 0
    for _ in range(60):
        peer = Peer(Broadcast(codecs))
        with suppress(RequestError):
            await peer.answer(read_offer(damaged(GOOD.splitlines(), rng)))
            answered += 1
        await peer.close()
    assert answered > 10
    await eventually(lambda: len(asyncio.all_tasks()) <= before)


async def test_no_damaged_fragment_trips_a_connection(caplog: pytest.LogCaptureFixture) -> None:
    rng, peer, connection = random.Random(11), Viewer(receive=("audio", "video")), Connection()
    await connection.answer(read_offer(await peer.offer()))
    taken = 0
    for _ in range(300):
        lines = [line for line in FRAGMENT if not line.startswith(("a=ice-", "a=end"))]
        at = rng.randrange(len(lines))
        digits = "".join(rng.choice("0123456789.:-x") if c.isdigit() and rng.random() < 0.2 else c for c in lines[at])
        words = digits.split(" ")
        lines[at] = " ".join(rng.sample(words, len(words)) if rng.random() < 0.2 else words)
        connection._candidates = 0
        with suppress(RequestError):
            await connection.trickle(read_fragment("\n".join(lines)))
            taken += 1
    assert taken > 100
    await asyncio.sleep(0.5)  # checks of what was taken
    await connection.close()
    await peer.close()
    gc.collect()
    assert caplog.text == ""


async def test_a_thousand_malformed_offers_are_refused_and_leave_nothing(
    client: Client, server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(11)
    session = await client.create()
    tasks = len(asyncio.all_tasks())
    seen: dict[int, int] = {}
    with nothing_went_wrong(caplog):
        for number in range(1000):
            sdp = GOOD
            for _ in range(6):
                sdp = damaged(sdp.splitlines() or [""], rng)
            name = ("whip", "whep", "webrtc")[number % 3]
            answer = await post(client, session["urls"][name], session["token"], sdp)
            seen[answer.status] = seen.get(answer.status, 0) + 1
            if answer.status == 201:
                await ask(client, "DELETE", session["urls"]["session"], session["token"])
                session = await client.create()
    assert set(seen) <= {201, 400, 406, 409}, seen
    assert seen[400] > 500
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks + 5)
    assert (await client.state(session))["state"] == "new"
