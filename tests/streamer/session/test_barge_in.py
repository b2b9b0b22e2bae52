"""Barge-in: what was said before it is not heard after it, and the event says how far it got."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import av
import numpy as np
import pytest

from streamer.client_stream.utterances import UtteranceQueue
from streamer.clock import SECOND_NS, SystemClock
from streamer.engine.engine import Engine
from streamer.media.audio import CHUNK_TIME
from streamer.media.looped_speech import LoopedSpeech
from streamer.session.options import SessionOptions
from tests.streamer.support.calls import Call
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, bearer, call
from tests.streamer.support.peers import Viewer
from tests.streamer.support.tracks import Camera, Microphone
from tests.streamer.support.waiting import eventually


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine(FakeModels, SystemClock())
    await engine.start()
    yield engine
    await engine.close()


@pytest.fixture
async def talk(engine: Engine) -> AsyncIterator[Call]:
    talk = Call(engine)
    yield talk
    await talk.close()


async def test_no_old_word_leaves_after_it_and_the_next_ones_are_whole(talk: Call) -> None:
    assert set(await talk.hear(2 * SECOND_NS)) == {1}
    talk.interrupt()
    words = await talk.hear(2 * SECOND_NS)
    silence = words.index(2)
    assert words == [0] * silence + [2] * (len(words) - silence)
    assert 14 <= silence <= 20  # what waited for its time, 340 ms


async def test_the_event_says_how_much_was_heard(talk: Call) -> None:
    heard = (await talk.hear(SECOND_NS)).count(1)
    event = talk.interrupt()
    assert (event.name, event.at_ms) == ("playback.finished", 1000)
    assert event.data == {"position": heard * CHUNK_TIME, "interrupted": True, "generation": 1}
    heard = (await talk.hear(SECOND_NS)).count(2)
    assert talk.interrupt().data["position"] == heard * CHUNK_TIME


async def test_before_speech_and_twice_in_a_row_there_is_nothing_to_interrupt(talk: Call) -> None:
    assert talk.interrupt().data == {"position": 0, "interrupted": False, "generation": 1}
    await talk.hear(SECOND_NS)
    assert talk.interrupt().data["interrupted"]
    assert talk.interrupt().data == {"position": 0, "interrupted": False, "generation": 3}


async def test_after_speech_it_says_that_all_was_heard(talk: Call) -> None:
    words = await talk.hear(SECOND_NS)
    talk.speaker.word = 0
    words += await talk.hear(SECOND_NS)
    assert words.count(1) == 50
    assert cast(int, talk.interrupt().data["position"]) >= 50 * CHUNK_TIME


async def test_a_stored_speech_ends_and_begins_again_after_its_pause(engine: Engine) -> None:
    call = Call(engine, LoopedSpeech(np.full((2 * 48_000, 2), 7, np.int16)))
    words = await call.hear(SECOND_NS)
    call.interrupt()
    words += await call.hear(4 * SECOND_NS)
    await call.close()
    first_end = words.index(0)
    again = words.index(7, first_end)
    assert 1.5 <= (again - first_end) / 50 <= 2.0
    assert words[again : again + 100] == [7] * 100


async def test_a_hundred_in_a_minute(talk: Call) -> None:
    gaps = np.random.default_rng(3).uniform(0.1, 1.1, 100)
    left: list[int] = []
    for gap in gaps / gaps.sum() * 60:
        left += (words := await talk.hear(int(gap * SECOND_NS)))
        assert set(words) <= {0, talk.speaker.word}
        talk.interrupt()
    assert talk.generation.number == 100
    assert 50 * 60 - 25 <= len(left) <= 50 * 60 + 100
    assert talk.events.counts == {"playback.finished": 100}


async def test_every_stage_is_in_the_generation_of_the_session() -> None:
    models, voice = FakeModels(), UtteranceQueue()
    engine = Engine(lambda: models, SystemClock())
    await engine.start()
    talk = Call(engine, options=SessionOptions(speech="stream"), camera=True, voice=voice)

    async def agree(number: int, streams: int) -> None:
        """Every stage, the one on the engine's thread included, comes to this generation."""
        await talk.hear(SECOND_NS // 5)
        await eventually(lambda: len(models.streams) == streams and models.streams[-1].generation == number)
        link, ingest = talk.live._link, talk.live._ingest
        assert link._slot is not None
        queue = link._slot._speech
        stages = (voice.generation, ingest._generation, link._generation, queue.generation, queue.heard_generation)
        assert (talk.generation.number, *stages) == (number,) * 6
        assert talk.peer.generation in (number, 0)  # a sink is told of those since media began

    talk.media.clear()
    await agree(1, streams=1)
    talk.media.clear()
    talk.media.clear()
    await agree(3, streams=1)
    talk.live.rest()
    talk.media.clear()
    talk.live.wake()
    await agree(4, streams=2)
    talk.media.clear()
    await agree(5, streams=2)
    assert talk.peer.generation == 5
    await talk.close()
    await engine.close()


async def test_over_webrtc_it_is_silent_within_a_moment_and_speaks_again(client: Client, models: FakeModels) -> None:
    tone = (12_000 * np.sin(2 * np.pi * 440 * np.arange(30 * 48_000) / 48_000)).astype(np.int16)
    async with call(client, Microphone(tone), Camera()) as (session, viewer):
        await viewer.until(pictures=20, sounds=60)
        loud_after = []
        for _ in range(5):
            asked = len(viewer.sounds)
            event = await interrupt(client, session)
            answered = len(viewer.sounds)
            assert event["interrupted"]
            await eventually(lambda asked=asked: first_quiet(viewer, asked) is not None)
            loud_after.append(cast(int, first_quiet(viewer, asked)) - answered)
            await eventually(lambda: loud(viewer.sounds[-1][1]))
        count = len(viewer.pictures)
        await viewer.until(pictures=count + 10)
        state = await client.state(session)
    assert sorted(loud_after)[2] < 15  # frames of 20 ms, on their way when the server answered; the viewer holds 80 ms
    assert len(models.streams[0].cleared) == 5
    events = [event for event in state["events"] if not event["type"].startswith("camera.")]
    assert [event["type"] for event in events] == ["playback.finished"] * 5
    assert [event["generation"] for event in events] == [1, 2, 3, 4, 5]


async def test_a_session_that_is_not_live_is_not_interrupted(client: Client) -> None:
    session = await client.create()
    async with client.http.post(client.url + session["urls"]["clear"], headers=bearer(session)) as response:
        assert response.status == 409
        assert "live" in (await response.json())["error"]["message"]


async def interrupt(client: Client, session: dict[str, Any]) -> dict[str, Any]:
    async with client.http.post(client.url + session["urls"]["clear"], headers=bearer(session)) as response:
        assert response.status == 200
        return dict(await response.json())


def loud(frame: av.AudioFrame) -> bool:
    return bool(np.abs(frame.to_ndarray()).max() > 1000)


def first_quiet(viewer: Viewer, first: int) -> int | None:
    """Returns the number of the first silent frame from frame ``first`` on."""
    return next((n for n, (_, frame) in enumerate(viewer.sounds) if n >= first and not loud(frame)), None)
