"""One encode for an audience."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from mytalk import Picture
from mytalk.picture import VideoFrame
from streamer.executors import Pool
from streamer.media.audio import CHUNK, CHUNK_TIME, SpeechChunk
from streamer.protocol.generation import Cleared
from streamer.webrtc.broadcast import KEYFRAME_PAUSE, Broadcast
from streamer.webrtc.encoded import Encoded
from streamer.webrtc.speech_encoder import SpeechEncoder
from streamer.webrtc.video_encoder import H264, Vp8
from tests.streamer.support.pictures import numbered
from tests.streamer.support.waiting import eventually


class Member:
    """Keeps what it gets."""

    def __init__(self, codec: str | None = "h264", rate: int = 2_000_000) -> None:
        self.codec, self.rate = codec, rate
        self.sounds: list[Encoded] = []
        self.pictures: list[Encoded] = []

    def sound(self, encoded: Encoded) -> None:
        self.sounds.append(encoded)

    def picture(self, encoded: Encoded) -> None:
        self.pictures.append(encoded)


class Show:
    """A broadcast and its pictures: one every 40 ms of media time, as fast as they are encoded."""

    def __init__(self, codecs: Pool) -> None:
        self.broadcast = Broadcast(codecs)
        self.count = 0

    async def pictures(self, count: int) -> None:
        for _ in range(count):
            at = self.count * 640
            frame = VideoFrame(Picture.from_rgb(numbered(self.count, 96)), at, at, Fraction(1, 16_000))
            self.broadcast.picture(frame)
            self.count += 1
            await eventually(lambda: not self.broadcast._pictures)
            await asyncio.sleep(0.005)


@pytest.fixture
async def show(codecs: Pool) -> AsyncIterator[Show]:
    show = Show(codecs)
    task = asyncio.create_task(show.broadcast.run())
    yield show
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def chunk(number: int, packet: bytes | None = None) -> SpeechChunk:
    return SpeechChunk(number * CHUNK_TIME, np.full((CHUNK, 2), 1000, np.int16), packet)


async def test_nobody_watching_costs_nothing(show: Show) -> None:
    await show.pictures(3)
    show.broadcast.sound(chunk(0))
    assert (show.broadcast.encoded, len(show.broadcast._sounds)) == (0, 0)


async def test_all_in_one_codec_get_the_same_bytes(show: Show) -> None:
    members = [Member(), Member(), Member("vp8")]
    for member in members:
        show.broadcast.join(member)
    await show.pictures(5)
    await eventually(lambda: all(len(member.pictures) == 5 for member in members))
    assert show.broadcast.encoded == 10
    assert all(one is other for one, other in zip(members[0].pictures, members[1].pictures, strict=True))
    assert members[2].pictures[0].data != members[0].pictures[0].data


async def test_a_new_viewer_gets_a_keyframe_and_thirty_at_once_share_one(show: Show) -> None:
    show.broadcast.join(first := Member())
    await show.pictures(20)
    assert [one.key for one in first.pictures] == [True] + 19 * [False]
    crowd = [Member() for _ in range(30)]
    for member in crowd:
        show.broadcast.join(member)
    await show.pictures(10)
    assert sum(one.key for one in first.pictures[20:]) == 1
    assert all(member.pictures[0].key for member in crowd)


async def test_keyframes_keep_their_distance_however_many_are_asked_for(show: Show) -> None:
    show.broadcast.join(member := Member())
    for _ in range(50):
        show.broadcast.refresh(member)
        await show.pictures(1)
    keys = [one.timestamp for one in member.pictures if one.key]
    gaps = [after - before for before, after in itertools.pairwise(keys)]
    assert len(keys) > 3
    assert min(gaps) >= KEYFRAME_PAUSE * 90_000 // 16_000


async def test_a_viewer_that_left_gets_nothing_more_and_its_encoder_is_freed(show: Show) -> None:
    show.broadcast.join(stays := Member())
    show.broadcast.join(leaves := Member("vp8"))
    await show.pictures(2)
    show.broadcast.leave(leaves)
    await show.pictures(2)
    assert (len(stays.pictures), len(leaves.pictures)) == (4, 2)
    assert set(show.broadcast._encoders) == {"h264"}
    show.broadcast.leave(leaves)  # twice does no harm
    show.broadcast.leave(stays)
    assert not show.broadcast._encoders


async def test_speech_that_came_as_packets_leaves_as_them_and_other_speech_is_encoded_once(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = []
    opus = show.broadcast._opus

    async def noted(chunk: SpeechChunk) -> bytes | None:
        encoded.append(chunk.at)
        return await opus(chunk)

    monkeypatch.setattr(show.broadcast, "_opus", noted)
    members = [Member(), Member(None)]
    for member in members:
        show.broadcast.join(member)
    for number in range(6):
        show.broadcast.sound(chunk(number, b"as it came" if number % 2 else None))
    await eventually(lambda: len(members[0].sounds) == len(members[1].sounds) == 6)
    assert encoded == [0, 2 * CHUNK_TIME, 4 * CHUNK_TIME]
    assert [one.data for one in members[0].sounds[1::2]] == 3 * [b"as it came"]
    assert [one.timestamp for one in members[1].sounds] == [number * CHUNK for number in range(6)]


async def test_the_bitrate_is_what_the_viewers_can_take(show: Show) -> None:
    show.broadcast.join(Member(rate=600_000))
    show.broadcast.join(Member(rate=3_000_000))
    await show.pictures(60)
    assert show.broadcast._encoders["h264"].bitrate == 600_000


async def test_a_picture_that_cannot_be_encoded_costs_itself(
    show: Show, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    show.broadcast.join(member := Member())
    await show.pictures(2)
    with monkeypatch.context() as patch:

        def broken(*_: object, **__: object) -> None:
            raise ValueError("the encoder is gone")

        patch.setattr(H264, "encode", broken)
        await show.pictures(3)
        await eventually(lambda: show.broadcast.faults.in_a_row == 3)
    await show.pictures(2)
    await eventually(lambda: len(member.pictures) == 4)
    assert (show.broadcast.faults.count, show.broadcast.faults.in_a_row) == (3, 0)


async def test_speech_that_cannot_be_encoded_costs_its_own_20_ms(
    show: Show, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    show.broadcast.join(member := Member(None))
    show.broadcast.sound(chunk(0))
    await eventually(lambda: len(member.sounds) == 1)
    with monkeypatch.context() as patch:

        def broken(*_: object) -> None:
            raise ValueError("the encoder is gone")

        patch.setattr(SpeechEncoder, "encode", broken)
        show.broadcast.sound(chunk(1))
        show.broadcast.sound(chunk(2))
        await eventually(lambda: show.broadcast.faults.in_a_row == 2)
    show.broadcast.sound(chunk(3))
    await eventually(lambda: len(member.sounds) == 2)
    assert member.sounds[1].at == 3 * CHUNK_TIME
    assert (show.broadcast.faults.count, show.broadcast.faults.in_a_row) == (2, 0)


async def test_a_broken_codec_is_not_hidden_by_one_that_works(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    show.broadcast.join(broken := Member("vp8"))
    show.broadcast.join(works := Member("h264"))

    def fail(*_: object, **__: object) -> None:
        raise ValueError("the encoder is gone")

    monkeypatch.setattr(Vp8, "encode", fail)
    await show.pictures(5)
    await eventually(lambda: show.broadcast.faults.in_a_row == 5)
    assert (len(works.pictures), len(broken.pictures)) == (5, 0)
    show.broadcast.leave(broken)  # nobody is without a picture any longer
    assert (show.broadcast.faults.count, show.broadcast.faults.in_a_row) == (5, 0)


async def test_barge_in_leaves_nothing_that_waits(show: Show) -> None:
    show.broadcast.join(member := Member())
    for number in range(3):
        show.broadcast.sound(chunk(number, b"said"))
    at = VideoFrame(Picture.from_rgb(numbered(1, 96)), 0, 0, Fraction(1, 16_000))
    show.broadcast.picture(at)
    show.broadcast.clear(Cleared(1))
    await eventually(lambda: len(member.sounds) == 3)
    assert all(one.data != b"said" for one in member.sounds)
    assert member.pictures == []


async def test_queues_are_bounded(show: Show) -> None:
    show.broadcast.join(Member())
    frame = VideoFrame(Picture.from_rgb(numbered(1, 96)), 0, 0, Fraction(1, 16_000))
    for number in range(200):  # nothing is awaited: nothing is encoded
        show.broadcast.sound(chunk(number))
        show.broadcast.picture(frame)
    assert len(show.broadcast._sounds) == 50
    assert len(show.broadcast._pictures) == 4
    assert show.broadcast.dropped == 150 + 196
