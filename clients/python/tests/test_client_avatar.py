"""An avatar yields pictures all the time, the sound of its utterances alone, and says where an interrupt fell."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import numpy as np
import pytest
from mytalk_client import LostError
from mytalk_client.avatar import HEARD_RATE, SPEECH_RATE, Avatar, Finished, Item, Picture, Sound, open_avatar
from mytalk_client.local_server import local_server

from tests.streamer.support.waiting import LIMIT_S

SILENCE_BEHIND = 1.0
"""Seconds that may follow an utterance before the word of its end is there, where the machine is busy."""


@pytest.fixture
async def avatar(url: str) -> AsyncIterator[Avatar]:
    async with open_avatar(url) as avatar:
        yield avatar


async def until_finished(avatar: Avatar, count: int = 1) -> list[Item]:
    items: list[Item] = []
    async with asyncio.timeout(LIMIT_S):
        async for item in avatar:
            items.append(item)
            if sum(isinstance(one, Finished) for one in items) == count:
                return items
    raise AssertionError("the session ended")


async def until_sound(avatar: Avatar) -> Sound:
    async with asyncio.timeout(LIMIT_S):
        async for item in avatar:
            if isinstance(item, Sound):
                return item
    raise AssertionError("the session ended")


def seconds_of(items: list[Item]) -> float:
    return sum(len(item.pcm) / 2 / HEARD_RATE for item in items if isinstance(item, Sound))


def spoken(seconds: float, rate: int = SPEECH_RATE) -> bytes:
    """A tone that swells and fades."""
    moments = np.arange(round(seconds * rate)) / rate
    loudness = 0.6 + 0.4 * np.sin(2 * np.pi * 4 * moments)
    return (9_000 * loudness * np.sin(2 * np.pi * 220 * moments)).astype("<i2").tobytes()


async def test_an_utterance_is_heard_whole_and_alone(avatar: Avatar) -> None:
    await avatar.push(spoken(0.8))
    await avatar.end_utterance()
    items = await until_finished(avatar)
    assert items[-1] == Finished(pytest.approx(0.8), interrupted=False)
    assert 0.8 <= seconds_of(items) < 0.8 + SILENCE_BEHIND
    sounds = [item for item in items if isinstance(item, Sound)]
    heard = np.frombuffer(b"".join(sound.pcm for sound in sounds), "<i2")
    for half in (heard[: HEARD_RATE // 50], heard[round(0.78 * HEARD_RATE) : round(0.8 * HEARD_RATE)]):
        assert np.abs(half).max() > 500  # neither its first nor its last 20 ms are missing
    assert any(isinstance(item, Picture) and item.frame.format.name == "yuv420p" for item in items)
    after = [await anext(avatar) for _ in range(10)]
    assert all(isinstance(item, Picture) for item in after)


async def test_pictures_and_sounds_come_in_order_of_their_time(avatar: Avatar) -> None:
    await avatar.push(spoken(0.5))
    await avatar.end_utterance()
    items = await until_finished(avatar)
    for kind in (Picture, Sound):
        times = [item.pts for item in items if isinstance(item, kind)]
        assert times == sorted(times)


@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2)])
async def test_speech_of_another_rate_is_resampled(avatar: Avatar, rate: int, channels: int) -> None:
    mono = np.frombuffer(spoken(0.5, rate), "<i2")
    pcm = np.repeat(mono, channels)
    for piece in np.array_split(pcm.reshape(-1, channels), 7):
        await avatar.push(piece.tobytes(), rate=rate, channels=channels)
    await avatar.end_utterance()
    items = await until_finished(avatar)
    assert isinstance(items[-1], Finished)
    assert items[-1].seconds == pytest.approx(0.5, abs=0.002)


async def test_an_interrupt_silences_at_once_and_tells_how_far_it_got(avatar: Avatar) -> None:
    await avatar.push(spoken(5))
    await avatar.end_utterance()
    await until_sound(avatar)
    seconds = await avatar.interrupt()
    assert 0 < seconds < 5
    await avatar.push(spoken(0.3))
    await avatar.end_utterance()
    items = await until_finished(avatar, 2)
    interrupted, whole = (item for item in items if isinstance(item, Finished))
    assert interrupted == Finished(seconds, interrupted=True)
    assert whole == Finished(pytest.approx(0.3), interrupted=False)
    assert 0.3 <= seconds_of(items) < 0.3 + SILENCE_BEHIND  # nothing of the first is heard any more


async def test_two_interrupts_one_after_the_other(avatar: Avatar) -> None:
    await avatar.push(spoken(5))
    await until_sound(avatar)
    first, second = await asyncio.gather(avatar.interrupt(), avatar.interrupt())
    assert first > 0
    assert second == 0


async def test_what_waits_to_be_pushed_is_not_said_after_an_interrupt(avatar: Avatar) -> None:
    pushing = asyncio.create_task(avatar.push(spoken(40)))  # beyond what may be ahead
    await until_sound(avatar)
    await avatar.interrupt()
    await asyncio.wait_for(pushing, LIMIT_S)
    await avatar.push(spoken(0.2))
    await avatar.end_utterance()
    items = await until_finished(avatar, 2)
    assert items[-1] == Finished(pytest.approx(0.2), interrupted=False)


async def test_an_utterance_without_speech_is_none(avatar: Avatar) -> None:
    await avatar.end_utterance()
    await avatar.push(spoken(0.2))
    await avatar.end_utterance()
    await avatar.end_utterance()
    items = await until_finished(avatar)
    assert items[-1] == Finished(pytest.approx(0.2), interrupted=False)


@pytest.mark.parametrize(("rate", "channels"), [(4_000, 1), (24_000, 3)])
async def test_formats_that_are_none_are_refused(avatar: Avatar, rate: int, channels: int) -> None:
    with pytest.raises(ValueError, match="need 16-bit mono or stereo"):
        await avatar.push(bytes(12), rate=rate, channels=channels)


async def test_a_server_that_cannot_start_is_reported_with_its_last_line() -> None:
    command = (sys.executable, "-c", "import sys; print('no models here'); sys.exit(3)")
    with pytest.raises(LostError, match="no models here"):
        async with local_server(command=command):
            raise AssertionError
