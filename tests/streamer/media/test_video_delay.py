"""Dubbed speech lands beside its pictures, which were held for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mytalk.picture import Picture, VideoFrame
from streamer.clock import SECOND_NS, SystemClock
from streamer.engine.engine import Engine
from streamer.errors import ConflictError, TooLargeError
from streamer.media.audio import CHUNK, CHUNK_TIME, Stereo
from streamer.media.video_delay import HELD_BYTES, LEAD, DubbedSpeech, HeldPictures
from streamer.session.options import SessionOptions
from tests.streamer.support.calls import Call
from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.http_client import Client, call
from tests.streamer.support.pictures import number_of
from tests.streamer.support.tracks import Camera

DELAY = 2 * 16_000


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine(FakeModels, SystemClock())
    await engine.start()
    yield engine
    await engine.close()


def word(value: int, chunks: int) -> Stereo:
    return np.full((chunks * CHUNK, 2), value, np.int16)


def heard(dubbed: DubbedSpeech, chunks: int) -> np.ndarray:
    return np.concatenate([dubbed.take() for _ in range(chunks)] or [word(0, 0)])[:, 0]


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=40), st.integers(0, 20))
def test_speech_on_arrival_has_no_hole_whatever_its_packets(sizes: list[int], before: int) -> None:
    dubbed = DubbedSpeech()
    heard(dubbed, before)
    said = np.repeat(np.arange(1, sum(sizes) + 1, dtype=np.int16)[:, None], 2, axis=1)
    for part in np.split(said, np.cumsum(sizes)[:-1]):
        assert dubbed.add(part) == 0
    out = heard(dubbed, sum(sizes) // CHUNK + 5)
    assert np.array_equal(out[LEAD : LEAD + len(said)], said[:, 0])
    assert not out[:LEAD].any()
    assert dubbed.waiting == 0


def test_speech_with_a_time_lands_there_in_whatever_order_it_comes() -> None:
    dubbed = DubbedSpeech(DELAY)
    dubbed.add(word(2, 5), at=1600)
    dubbed.add(word(1, 5), at=0)
    out = heard(dubbed, 115)
    assert not out[: 100 * CHUNK].any()
    assert (out[100 * CHUNK : 105 * CHUNK] == 1).all()
    assert (out[105 * CHUNK : 110 * CHUNK] == 2).all()
    assert not out[110 * CHUNK :].any()


@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 2500)), min_size=1, max_size=30))
def test_what_comes_last_is_heard_where_pieces_overlap(pieces: list[tuple[int, int]]) -> None:
    dubbed, expected = DubbedSpeech(), np.zeros(15 * CHUNK, np.int16)
    for value, (at, count) in enumerate(pieces, 1):
        dubbed.add(np.full((count, 2), value, np.int16), at)
        expected[3 * at : 3 * at + count] = value
    assert np.array_equal(heard(dubbed, 15), expected)
    assert dubbed.waiting == 0


@pytest.mark.parametrize(("count", "samples"), [(300, 10 * CHUNK), (20_000, 3)])
def test_speech_that_comes_again_replaces_what_waits(count: int, samples: int) -> None:
    dubbed = DubbedSpeech()
    for value in range(1, count + 1):
        dubbed.add(np.full((samples, 2), value, np.int16), at=16_000)
    assert sum(chunk.nbytes for chunk in dubbed._chunks.values()) <= 11 * CHUNK * 4
    out = heard(dubbed, 70)
    assert (out[48_000 : 48_000 + samples] == count).all()
    assert not out[48_000 + samples :].any()


def test_late_speech_is_cut_without_a_click_and_its_rest_is_in_its_place() -> None:
    dubbed = DubbedSpeech()
    heard(dubbed, 50)
    assert dubbed.add(word(1000, 100), at=0) == 50 * CHUNK
    assert dubbed.add(word(1000, 10), at=0) == 10 * CHUNK
    assert dubbed.late == 60 * CHUNK
    out = heard(dubbed, 60)
    assert np.abs(np.diff(out[: 49 * CHUNK], prepend=np.int16(0)).astype(int)).max() < 10
    assert (out[CHUNK : 50 * CHUNK] == 1000).all()
    assert not out[50 * CHUNK :].any()


def test_more_than_a_minute_ahead_is_refused_and_a_barge_in_forgets_all() -> None:
    dubbed = DubbedSpeech()
    dubbed.add(word(1, 50 * 59))
    with pytest.raises(TooLargeError, match="60 s at most"):
        dubbed.add(word(2, 100))
    dubbed.clear()
    assert dubbed.waiting == 0
    dubbed.add(word(3, 1))
    assert set(heard(dubbed, 10).tolist()) == {0, 3}


def test_held_pictures_are_bounded() -> None:
    held = HeldPictures(DELAY)
    large = Picture.from_rgb(np.zeros((2160, 3840, 3), np.uint8))
    most = HELD_BYTES // (2160 * 3840 * 3 // 2)
    for n in range(most + 5):
        held.add(VideoFrame(large, 640 * n, n, Fraction(1, 25)))
    assert (len(held), held.left_out) == (most, 5)
    assert not held.due(DELAY - 1)
    assert [frame.at for frame in held.due(DELAY + 640)] == [DELAY, DELAY + 640]


async def test_dubbed_speech_leaves_with_the_picture_that_it_names(engine: Engine) -> None:
    talk = Call(engine, options=SessionOptions(speech="stream", video_delay=2000), camera=True)
    await talk.hear(3 * SECOND_NS)
    talk.media.say(word(5, 10), at=2 * 16_000)
    await talk.hear(2 * SECOND_NS)
    talk.media.say(word(6, 100), at=2 * 16_000 + 8000)  # for the pictures from 4.5 s to 6.5 s on: half a second late
    await talk.hear(2 * SECOND_NS)
    talk.media.say(word(7, 10))
    await talk.hear(5 * SECOND_NS)  # a busy machine leaves pictures out
    await talk.close()
    said = {chunk.at: int(chunk.samples[-1, 0]) for chunk in talk.peer.chunks}
    five, six, seven = ([at for at, one in said.items() if one == value] for value in (5, 6, 7))
    assert five == [4 * 16_000 + n * CHUNK_TIME for n in range(10)]
    assert six[-1] + CHUNK_TIME == 6 * 16_000 + 8000
    assert abs(six[0] - 5 * 16_000) <= 2 * CHUNK_TIME
    assert abs(seven[0] - 7 * 16_000 - 3 * CHUNK_TIME) <= 2 * CHUNK_TIME
    numbers = {frame.at: number for frame, number in talk.peer.seen}
    assert len(numbers) > 100
    assert all(0 <= at - 640 * number - 2 * 16_000 <= 320 for at, number in numbers.items())
    (late,) = [event for event in talk.events.to_json() if event["type"] == "speech.late"]
    assert late["pts"] == 2 * 16_000 + 8000
    assert 440 <= int(str(late["dropped_ms"])) <= 520  # what is being said just now is not late yet


async def test_only_a_session_whose_speech_is_streamed_is_spoken_to(engine: Engine) -> None:
    talk = Call(engine)
    with pytest.raises(ConflictError, match="stream"):
        talk.media.say(word(1, 1))
    await talk.close()


async def test_over_webrtc_a_delayed_camera_speaks_what_it_is_given(client: Client) -> None:
    camera = Camera()
    async with call(client, camera, receive=("audio",), speech="stream", video_delay=1000) as (session, viewer):
        await viewer.until(pictures=10)
        behind = camera.index - number_of(viewer.pictures[-1][1].to_ndarray(format="rgb24"))
        assert (await client.state(session))["stats"]["pictures_held"] > 10
    assert behind > 25
