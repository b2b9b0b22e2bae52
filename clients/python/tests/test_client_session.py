"""The client against a real server: speech is heard whole, whatever becomes of the line and of the program's tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from lines import Line
from mytalk_client import (
    Audio,
    Error,
    Event,
    FaceChanged,
    LostError,
    PlaybackFinished,
    PlaybackStarted,
    RefusedError,
    Session,
    SessionResumed,
    SessionUpdated,
    SpeechCommitted,
    SpeechFormat,
    SpeechLate,
    Video,
    connect,
    connect_sync,
    session_state,
)
from mytalk_client import session as session_module

from tests.streamer.support.fake_models import FakeModels
from tests.streamer.support.sounds import babble
from tests.streamer.support.stream_client import found_in
from tests.streamer.support.waiting import LIMIT_S, eventually

PCM48 = SpeechFormat(48_000)


async def until_heard(session: Session, count: int = 1) -> list[Event]:
    """Events until so many utterances have been heard."""
    events: list[Event] = []
    async with asyncio.timeout(LIMIT_S):
        async for event in session:
            events.append(event)
            if sum(isinstance(one, PlaybackFinished) for one in events) == count:
                return events
    raise AssertionError(f"the session ended: {events[-5:]}")


async def listen(session: Session) -> list[Event]:
    return [event async for event in session]


def heard(events: list[Event]) -> np.ndarray:
    sounds = [event for event in events if isinstance(event, Audio)]
    assert [sound.pts for sound in sounds] == list(range(sounds[0].pts, sounds[0].pts + 320 * len(sounds), 320))
    return np.frombuffer(b"".join(sound.data for sound in sounds), "<i2")[::2]


async def test_what_is_said_comes_back_as_sound_pictures_and_events(url: str) -> None:
    speech = babble(1, seed=2)
    async with connect(url, speech=PCM48, audio=True, video="h264") as session:
        assert "synthetic" in session.disclosure
        await session.say(speech.tobytes(), event_id="hello")
        events = await until_heard(session)
        events += [await anext(session) for _ in range(20)]
    assert found_in(speech, heard(events)) >= 0
    messages = [event for event in events if not isinstance(event, Audio | Video)]
    assert [type(event) for event in messages[:4]] == [
        SessionUpdated,
        SpeechCommitted,
        PlaybackStarted,
        PlaybackFinished,
    ]
    assert messages[1] == SpeechCommitted(1, 16_000, "hello")
    finished = messages[3]
    assert isinstance(finished, PlaybackFinished)
    assert finished.at_ms is not None
    assert replace(finished, at_ms=None) == PlaybackFinished(16_000, False, 0, 1)
    assert next(event for event in events if isinstance(event, Video)).keyframe


async def test_pieces_of_any_size_make_one_utterance(url: str) -> None:
    speech = babble(0.5, seed=4)

    async def pieces() -> AsyncIterator[bytes]:
        data = speech.tobytes()
        for start in range(0, len(data), 1_001):  # odd: samples are cut in two
            yield data[start : start + 1_001]
            await asyncio.sleep(0)

    async with connect(url, speech=PCM48, audio=True) as session:
        await session.say(pieces())
        events = await until_heard(session)
        events += [await anext(session) for _ in range(20)]
    assert found_in(speech, heard(events)) >= 0


async def test_cuts_of_the_line_lose_no_speech_and_no_sound(url: str, line: Line) -> None:
    speech = babble(6, seed=6)
    events: list[Event] = []
    cuts, sounds = 0, 0  # sounds: since the stream was resumed
    async with connect(url, speech=PCM48, audio=True, video="h264") as session, asyncio.timeout(LIMIT_S):
        await session.append(speech[: 4 * 48_000].tobytes())
        async for event in session:
            events.append(event)
            sounds = 0 if isinstance(event, SessionResumed) else sounds + isinstance(event, Audio)
            if isinstance(event, PlaybackStarted):
                await session.append(speech[4 * 48_000 :].tobytes())  # and none of it is sent before the cut
                await session.commit()
            if isinstance(event, PlaybackStarted) or (0 < cuts < 3 and sounds == 10):
                line.cut()
                cuts, sounds = cuts + 1, 0
            if isinstance(event, PlaybackFinished):
                break
        events += [await anext(session) for _ in range(30)]
    assert found_in(speech, heard(events)) >= 0
    assert sum(isinstance(event, SessionResumed) for event in events) >= 2
    assert not [event for event in events if isinstance(event, Error)]
    pictures = [event.pts for event in events if isinstance(event, Video)]
    assert pictures == sorted(set(pictures))


async def test_a_line_that_falls_silent_is_taken_for_broken_and_loses_no_speech(
    url: str, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mytalk_client.link._PING_SECONDS", 0.2)
    monkeypatch.setattr("mytalk_client.link._SILENCE_SECONDS", 1.0)
    speech = babble(3, seed=6)
    async with connect(url, speech=PCM48, audio=True) as session:
        await session.say(speech.tobytes())
        events: list[Event] = []
        async for event in session:
            events.append(event)
            if isinstance(event, PlaybackStarted):
                break
        line.hush()
        events += await until_heard(session)
        events += [await anext(session) for _ in range(30)]
    assert any(isinstance(event, SessionResumed) for event in events)
    assert found_in(speech, heard(events)) >= 0


async def test_a_line_that_stays_down_is_an_error_in_the_end(
    url: str, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mytalk_client.link.RESUME_SECONDS", 0.5)
    async with connect(url, speech=PCM48) as session:
        line.down = True
        line.cut()
        with pytest.raises(LostError, match="no connection"):
            await asyncio.wait_for(listen(session), LIMIT_S)
        with pytest.raises(LostError):
            await session.say(b"\0\0")


async def test_an_interrupt_says_how_far_it_got_and_the_next_words_are_whole(url: str) -> None:
    second = babble(0.5, seed=9)
    async with connect(url, speech=PCM48, audio=True) as session:
        await session.say(babble(8).tobytes())
        async for event in session:
            if isinstance(event, PlaybackStarted):
                break
        await session.interrupt("stop")
        await session.say(second.tobytes())
        events = await until_heard(session, count=2)
        events += [await anext(session) for _ in range(20)]
    stopped = next(event for event in events if isinstance(event, PlaybackFinished))
    assert (stopped.interrupted, stopped.event_id, stopped.generation) == (True, "stop", 1)
    assert stopped.position < 8 * 16_000
    assert found_in(second, heard(events)) >= 0
    assert not [event for event in events if isinstance(event, Error)]


async def test_speech_far_ahead_waits_and_a_cancelled_say_leaves_the_session_usable(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "AHEAD_MS", 1_000)
    async with connect(url, speech=PCM48, audio=True) as session:
        saying = asyncio.create_task(session.say(babble(30).tobytes()))
        async for event in session:
            if isinstance(event, PlaybackStarted):
                break
        assert not saying.done()
        assert session.ahead_ms <= 1_200
        saying.cancel()
        with suppress(asyncio.CancelledError):
            await saying
        await session.interrupt()
        words = babble(0.3, seed=1)
        await session.say(words.tobytes())
        events = await until_heard(session, count=2)
        events += [await anext(session) for _ in range(20)]
    assert found_in(words, heard(events)) >= 0


async def test_a_cancelled_wait_loses_no_event(url: str) -> None:
    speech = babble(0.5, seed=3)
    events: list[Event] = []
    async with connect(url, speech=PCM48, audio=True) as session:
        await session.say(speech.tobytes())
        while sum(isinstance(event, PlaybackFinished) for event in events) < 1 or len(events) < 100:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.003):
                    events.append(await anext(session))
    assert found_in(speech, heard(events)) >= 0


async def test_who_does_not_listen_is_not_drowned(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "INBOX_BYTES", 100_000)
    async with connect(url, speech=PCM48, audio=True) as session:
        await asyncio.sleep(1.5)
        assert session._held < 110_000
        async for _ in session:
            if session._held < 5_000:
                break


async def test_another_face_comes_while_it_speaks(url: str) -> None:
    portrait = (files("mytalk") / "assets" / "astronaut.png").read_bytes()
    consent = {"who": "Eileen Collins", "when": "2026-11-30", "purpose": "a test"}
    async with connect(url, video="webp", background="green") as session:
        await session.change_face(portrait, consent)
        pictures: list[Video] = []
        async with asyncio.timeout(LIMIT_S):
            async for event in session:
                if isinstance(event, FaceChanged):
                    break
                if isinstance(event, Video):
                    pictures.append(event)
        assert {picture.encoding for picture in pictures} == {"webp"}
        assert await asyncio.to_thread(session_state, session.info) == "live"
        with pytest.raises(RefusedError, match="no folder of faces"):
            await session.change_face("clerk.png")


async def test_a_session_begins_before_an_image_of_its_own(url: str) -> None:
    portrait = (files("mytalk") / "assets" / "astronaut.png").read_bytes()
    async with connect(url, video="png", portrait=portrait, background=portrait) as session:
        async for event in session:
            if isinstance(event, Video):
                assert event.data.startswith(b"\x89PNG")
                break


async def test_controls_change_and_wrong_ones_are_events(url: str, models: FakeModels) -> None:
    async with connect(url, speech=PCM48) as session:
        assert session.controls["mouth_opening"] == 1.0
        await session.update(mouth_opening=0.4, event_id="a")
        await session.update(hairstyle=2, event_id="b")
        messages: list[Event] = []
        async for event in session:
            messages.append(event)
            if isinstance(event, Error):
                break
        await eventually(lambda: bool(models.streams) and models.streams[0].controls.mouth_opening == 0.4)
    assert [event.event_id for event in messages if isinstance(event, SessionUpdated)] == [None, "a"]
    assert isinstance(messages[-1], Error)
    assert (messages[-1].code, messages[-1].event_id) == ("unknown_control", "b")


async def test_a_dub_is_heard_at_its_pictures_time(url: str) -> None:
    word = babble(0.5, seed=8)
    async with connect(url, speech=PCM48, audio=True) as session:
        events = [await anext(session) for _ in range(50)]
        at = max(event.pts for event in events if isinstance(event, Audio)) + 2 * 16_000
        await session.dub(word.tobytes(), at)
        await session.dub(word.tobytes(), 0)
        while found_in(word, heard(events)) < 0:
            events.append(await asyncio.wait_for(anext(session), LIMIT_S))
    first = next(event.pts for event in events if isinstance(event, Audio))
    assert 3 * first + found_in(word, heard(events)) == 3 * at
    assert sum(event.dropped_ms for event in events if isinstance(event, SpeechLate)) == 500


async def test_a_script_without_asyncio_does_the_same(url: str) -> None:
    speech = babble(0.5, seed=3)

    def script() -> list[Event]:
        events: list[Event] = []
        with connect_sync(url, speech=PCM48, audio=True) as session:
            session.say(speech.tobytes())
            for event in session:
                events.append(event)
                if isinstance(event, PlaybackFinished):
                    break
            events += [event for _ in range(20) if (event := session.next(timeout=30)) is not None]
            session.interrupt()
            assert any(isinstance(event, PlaybackFinished) and event.generation == 1 for event in session)
        return events

    assert found_in(speech, heard(await asyncio.to_thread(script))) >= 0
