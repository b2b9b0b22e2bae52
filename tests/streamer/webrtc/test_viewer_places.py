"""Places of viewers are reserved before their offers are answered, and offers are answered one after another."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter

import pytest

from streamer.errors import BusyError
from streamer.executors import Pool
from streamer.http.server import Running
from streamer.webrtc import connections, turns
from streamer.webrtc.broadcast import Broadcast
from streamer.webrtc.sdp_offer import read_offer
from streamer.webrtc.turns import Turns
from streamer.webrtc.viewer import Viewer
from tests.streamer.support.http_client import Client
from tests.streamer.support.offers import GOOD
from tests.streamer.support.waiting import eventually
from tests.streamer.support.whip_clients import post, without_candidates

OFFER = without_candidates(GOOD)


async def test_offers_at_once_get_no_more_places_than_there_are(
    client: Client, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MOST_VIEWERS", 3)
    monkeypatch.setattr(turns, "PAUSE", 0.0)  # all are answered at once
    session = await client.create(source="portrait", speech="demo")
    asked = (post(client, session["urls"]["whep"], session["view_token"], OFFER) for _ in range(8))
    answers = await asyncio.gather(*asked)
    assert Counter(answer.status for answer in answers) == {201: 3, 503: 5}
    assert {answer.headers["Retry-After"] for answer in answers if answer.status == 503} == {"10"}
    [ours] = server.sessions.all()
    assert len(ours.connections.viewers) == 3


async def test_an_offer_that_cannot_be_answered_gives_its_place_back(client: Client, server: Running) -> None:
    session = await client.create(source="portrait", speech="demo")
    other = OFFER.replace("opus/48000", "speex/16000")
    assert (await post(client, session["urls"]["whep"], session["view_token"], other)).status == 406
    [ours] = server.sessions.all()
    assert not ours.connections.viewers


async def test_a_session_that_ends_while_it_answers_is_not_found(
    client: Client, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await client.create(source="portrait", speech="demo")
    [ours] = server.sessions.all()
    ends: list[asyncio.Task[None]] = []

    def ends_meanwhile(*_: object, **__: object) -> None:
        ends.append(asyncio.create_task(ours.connections.close()))

    monkeypatch.setattr(Viewer, "_bind_tracks", ends_meanwhile)
    assert (await post(client, session["urls"]["whep"], session["view_token"], OFFER)).status == 404
    await asyncio.gather(*ends)


async def test_turns_are_taken_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MOST_WAITING", 5)
    queue, order, iterations = Turns(), list[int](), list[int]()
    passed = 0

    async def count() -> None:
        nonlocal passed
        while True:
            passed += 1
            await asyncio.sleep(0)

    async def caller(number: int) -> None:
        await queue.take()
        order.append(number)
        iterations.append(passed)

    counting = asyncio.create_task(count())
    results = await asyncio.gather(*map(caller, range(8)), return_exceptions=True)
    counting.cancel()
    assert order == [0, 1, 2, 3, 4, 5]  # the first, and as many as may wait
    assert len(set(iterations)) == 6
    assert [type(result) for result in results[6:]] == [BusyError, BusyError]


async def test_a_caller_that_gives_up_keeps_nobody_waiting() -> None:
    queue = Turns()
    await queue.take()
    gone = asyncio.create_task(queue.take())
    next_one = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    gone.cancel()
    await eventually(next_one.done)
    assert gone.cancelled()


async def test_a_viewer_adds_few_objects_that_garbage_collections_walk(codecs: Pool) -> None:
    """A collection walks 200 viewers of 500 objects in 35 ms, and of 1500, with aiortc's estimator, in 100 ms."""
    viewers = [Viewer(Broadcast(codecs)) for _ in range(11)]
    await viewers[0].answer(read_offer(OFFER))  # what is made once
    gc.collect()
    before = len(gc.get_objects())
    for viewer in viewers[1:]:
        await viewer.answer(read_offer(OFFER))
    gc.collect()
    assert len(gc.get_objects()) - before < 10 * 800
    for viewer in viewers:
        await viewer.close()
