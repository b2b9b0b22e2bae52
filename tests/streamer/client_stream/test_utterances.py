"""Streamed speech: it is said whole, in order, at its own pace, and its client is told how much of it was heard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamer.client_stream.utterances import MOST_TIMED_S, UtteranceQueue
from streamer.errors import ProtocolError
from streamer.media.audio import CHUNK, CHUNK_TIME
from streamer.media.resample import Upsampler
from streamer.protocol.generation import Cleared
from streamer.protocol.messages import Limits, PlaybackFinished, PlaybackStarted, SpeechFormat
from tests.streamer.support.sounds import babble, opus

RATES = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000]


def pcm(rate: int) -> SpeechFormat:
    return SpeechFormat("pcm16", rate)  # type: ignore[arg-type]


def say(voice: UtteranceQueue, chunks: int, start: int = 0) -> NDArray[np.int16]:
    """The left channel of what is said in so many chunks, from chunk ``start`` on."""
    return np.concatenate([voice.take((start + i) * CHUNK_TIME)[:, 0] for i in range(chunks)])


def tone(rate: int, seconds: float = 0.5) -> NDArray[np.int16]:
    return (10_000 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_of_any_rate_is_the_same_tone_at_48_khz(rate: int) -> None:
    upsample = Upsampler(rate)
    out = np.concatenate([upsample(tone(rate)[:, None]), upsample.flush()])
    assert out.shape == (24_000, 2) or out.shape == (-(-len(tone(rate)) * 48_000 // rate), 2)
    expected = 10_000 * np.sin(2 * np.pi * 440 * np.arange(len(out)) / 48_000)
    assert np.abs(out[200:-200, 0] - expected[200:-200]).max() < 30


@settings(deadline=None, max_examples=60)
@given(rate=st.sampled_from(RATES), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_packet_size_does_not_change_what_is_heard(rate: int, cuts: list[int]) -> None:
    speech = np.random.default_rng(1).integers(-20_000, 20_000, (400, 2)).astype(np.int16)
    whole, parts = Upsampler(rate), Upsampler(rate)
    expected = np.concatenate([whole(speech), whole.flush()])
    pieces = [parts(piece) for piece in np.split(speech, sorted(cuts))]
    assert np.array_equal(np.concatenate([*pieces, parts.flush()]), expected)


def test_an_utterance_is_said_whole_and_its_client_learns_when_it_was_heard() -> None:
    voice, speech = UtteranceQueue(), babble(0.51)
    voice.expect(pcm(48_000))
    voice.append(speech.tobytes(), "pcm16", 0)
    assert voice.commit() == (1, len(speech) // 3)
    said = say(voice, 30)
    assert np.array_equal(said[: len(speech)], speech)
    assert not said[len(speech) :].any()
    assert voice.playback(CHUNK_TIME - 1) == []
    assert voice.playback(CHUNK_TIME) == [PlaybackStarted(1, 0, 0)]
    assert voice.playback(30 * CHUNK_TIME) == [PlaybackFinished(len(speech) // 3, False, 0, 1)]
    assert voice.clear(Cleared(1)) == PlaybackFinished(0, False, 1, None)


def test_speech_faster_than_real_time_waits_and_nothing_of_it_is_lost() -> None:
    voice, speech = UtteranceQueue(), babble(20)
    voice.expect(pcm(48_000))
    for start in range(0, len(speech), 4801):
        voice.append(speech[start : start + 4801].tobytes(), "pcm16", start)
    voice.commit()
    assert voice.buffered_ms == 20_000
    assert np.array_equal(say(voice, 1000), speech)


def test_speech_that_runs_dry_is_filled_with_silence_and_goes_on_whole() -> None:
    voice, speech = UtteranceQueue(), babble(1) + np.int16(1)
    voice.expect(pcm(48_000))
    voice.append(speech[:24_100].tobytes(), None, None)
    said = [say(voice, 40)]
    voice.append(speech[24_100:].tobytes(), None, None)
    voice.commit()
    said.append(say(voice, 40, start=40))
    heard = np.concatenate(said)
    assert np.array_equal(heard[heard != 0], speech[speech != 0])
    assert not heard[34 * CHUNK : 40 * CHUNK].any()
    assert [type(event) for event in voice.playback(80 * CHUNK_TIME)] == [PlaybackStarted, PlaybackFinished]


def test_a_commit_after_all_was_heard_still_finishes_the_utterance() -> None:
    voice = UtteranceQueue()
    voice.expect(pcm(48_000))
    voice.append(babble(0.1).tobytes(), None, None)
    say(voice, 20)
    assert voice.playback(20 * CHUNK_TIME) == [PlaybackStarted(1, 0, 0)]
    voice.commit()
    say(voice, 1, start=20)
    assert voice.playback(20 * CHUNK_TIME) == [PlaybackFinished(1600, False, 0, 1)]
    assert voice.buffered_ms == 0


def test_a_barge_in_says_how_far_it_was_heard_and_speech_begins_clean() -> None:
    voice = UtteranceQueue()
    voice.expect(pcm(16_000))
    voice.append(bytes(2 * 16_000), "pcm16", 0)
    voice.commit()
    voice.append(bytes(2 * 16_000), "pcm16", 16_000)
    say(voice, 20)
    voice.playback(10 * CHUNK_TIME)
    assert voice.clear(Cleared(1)) == PlaybackFinished(10 * CHUNK_TIME, True, 1, 1)
    assert voice.buffered_ms == 0
    assert voice.playback(20 * CHUNK_TIME) == []
    assert voice.clear(Cleared(2)) == PlaybackFinished(0, False, 2, None)
    voice.append(np.full(16_000, 9, np.int16).tobytes(), "pcm16", 0)
    assert voice.commit() == (3, 16_000)
    assert say(voice, 50, start=20)[500] == 9


def test_a_clear_before_anything_was_heard_interrupts_at_nought() -> None:
    voice = UtteranceQueue()
    voice.expect(pcm(16_000))
    voice.append(bytes(3200), None, None)
    assert voice.clear(Cleared(1)) == PlaybackFinished(0, True, 1, 1)


def test_another_format_ends_the_utterance_and_counts_from_nought() -> None:
    voice = UtteranceQueue()
    voice.expect(pcm(48_000))
    voice.append(np.full(4800, 5, np.int16).tobytes(), "pcm16", 0)
    voice.expect(pcm(24_000))
    voice.append(np.full(2400, 7, np.int16).tobytes(), "pcm16", 0)
    assert voice.commit() == (2, 1600)
    said = say(voice, 20)
    assert (said == 5).sum() == 4800
    assert 4700 <= (said == 7).sum() <= 4800  # the filter's edges
    assert [type(event) for event in voice.playback(20 * CHUNK_TIME)] == [PlaybackStarted, PlaybackFinished] * 2


def test_opus_is_decoded_and_its_place_is_counted_in_48_khz_samples() -> None:
    speech = babble(1)
    voice, position = UtteranceQueue(), 0
    voice.expect(SpeechFormat("opus", 48_000, 1))
    for packet in opus(speech):
        voice.append(packet, "opus", position)
        position += 960
    voice.commit()
    said = say(voice, 60).astype(float)
    lag = int(np.argmax([np.dot(said[lag : lag + 40_000], speech[:40_000]) for lag in range(0, 700)]))
    assert 300 <= lag <= 330  # the encoder's look-ahead, 6.5 ms
    assert np.corrcoef(said[lag : lag + 40_000], speech[:40_000])[0, 1] > 0.9


@pytest.mark.parametrize(
    ("code", "given", "payload", "encoding", "pts"),
    [
        ("no_format", None, b"ab", "pcm16", 0),
        ("bad_speech", pcm(16_000), b"abc", "pcm16", 0),
        ("bad_speech", SpeechFormat("pcm16", 16_000, 2), b"ab", "pcm16", 0),
        ("bad_speech", pcm(16_000), b"ab", "opus", 0),
        ("bad_speech", SpeechFormat("opus", 48_000), b"\xff" * 7, "opus", 0),
        ("wrong_position", pcm(16_000), b"ab", "pcm16", 1),
        ("speech_overflow", pcm(8_000), bytes(16 * 61_000), "pcm16", 0),
    ],
)
def test_what_does_not_fit_is_refused_whole(code: str, given: Any, payload: bytes, encoding: str, pts: int) -> None:
    voice = UtteranceQueue()
    if given is not None:
        voice.expect(given)
    with pytest.raises(ProtocolError) as refused:
        voice.append(payload, encoding, pts)
    assert refused.value.code == code
    assert voice.buffered_ms == 0
    with pytest.raises(ProtocolError):
        voice.commit()


def test_the_stated_cap_is_where_it_is_refused_and_what_was_taken_is_said() -> None:
    voice = UtteranceQueue(Limits(pause_ms=500, buffer_ms=1000))
    voice.expect(pcm(16_000))
    voice.append(bytes(2 * 7_000), None, None)
    assert voice.room.is_set()
    voice.append(bytes(2 * 7_000), None, None)
    assert not voice.room.is_set()
    with pytest.raises(ProtocolError, match=r"0\.9 s of speech wait, 0\.2 s more is over 1 s"):
        voice.append(bytes(2 * 3_200), None, 14_000)
    say(voice, 10)
    voice.append(bytes(2 * 3_200), None, 14_000)
    assert not voice.room.is_set()
    say(voice, 25)
    assert voice.buffered_ms < 500
    assert voice.room.is_set()


def test_a_clear_makes_room_at_once() -> None:
    voice = UtteranceQueue(Limits(pause_ms=500, buffer_ms=1000))
    voice.expect(pcm(16_000))
    voice.append(bytes(2 * 9_000), None, None)
    assert not voice.room.is_set()
    voice.clear(Cleared(1))
    assert voice.room.is_set()


@pytest.mark.parametrize("rate", RATES)
def test_speech_for_pictures_that_goes_on_has_no_seams(rate: int) -> None:
    voice, sound = UtteranceQueue(), tone(rate)
    voice.expect(pcm(rate))
    made, step = np.zeros(0, np.int16), rate // 50 + 3
    for start in range(0, len(sound), step):
        samples, at = voice.for_picture(sound[start : start + step].tobytes(), "pcm16", 1600 + start * 16_000 // rate)
        assert (at - 1600) * 3 == len(made)
        made = np.concatenate([made, samples[:, 0]])
    expected = 10_000 * np.sin(2 * np.pi * 440 * np.arange(len(made)) / 48_000)
    assert len(made) > 23_000
    assert np.abs(made[200:] - expected[200:]).max() < 30
    assert voice.for_picture(sound.tobytes(), "pcm16", 99_000)[1] == 99_000
    assert voice.buffered_ms == 0


def test_a_flood_of_tiny_messages_costs_little() -> None:
    voice = UtteranceQueue()
    voice.expect(pcm(8_000))
    for position in range(5000):
        voice.append(b"\1\0", "pcm16", position)
    assert len(voice._utterances[0].parts) < 10
    voice.clear(Cleared(1))
    for _ in range(500):
        voice.append(b"\1\0", None, None)
        voice.commit()
    with pytest.raises(ProtocolError, match="500 utterances wait"):
        voice.append(b"\1\0", None, None)


def test_a_message_for_a_picture_holds_what_is_resampled_at_once() -> None:
    voice = UtteranceQueue()
    voice.expect(SpeechFormat("pcm16", 16_000, 1))
    most = bytes(2 * 16_000 * MOST_TIMED_S)
    assert len(voice.for_picture(most, "pcm16", 0)[0]) > 47_000 * MOST_TIMED_S
    with pytest.raises(ProtocolError, match="10 s at most"):
        voice.for_picture(most + bytes(2), "pcm16", 0)
