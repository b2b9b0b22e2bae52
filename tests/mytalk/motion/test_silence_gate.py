"""The silence gate: shut in silence and in steady noise, open for speech, never flapping."""

from __future__ import annotations

import numpy as np
import pytest

from mytalk.motion.silence_gate import (
    CLOSING_RATE,
    HOLD_FRAMES,
    LONG_PAUSE_FRAMES,
    UNPROVEN_FRAMES,
    SilenceGate,
)

CLOSING_FRAMES = round(1 / CLOSING_RATE)


def shares(levels: list[float], lookahead: int = 3) -> list[float]:
    gate = SilenceGate()
    gate.push_levels(np.array(levels, np.float32))
    return [gate.next(lookahead) for _ in levels]


def test_silence_stays_shut() -> None:
    assert max(shares([-90.0] * 50)) == 0


def test_speech_opens_before_it_starts_and_shuts_after() -> None:
    opened = shares([-80.0] * 20 + [-20.0] * 20 + [-80.0] * 30)
    assert opened[16] == 0
    assert opened[18] > 0
    assert opened[20] == 1
    assert min(opened[20:44]) == 1
    assert opened[-1] == 0


def test_a_room_before_the_first_word_is_not_speech() -> None:
    gate = SilenceGate()
    room = np.random.default_rng(1).uniform(-75, -56, 50).astype(np.float32)
    room[0] = -80  # the file begins with nothing
    gate.push_levels(room)
    assert [gate.next(2) for _ in range(48)] == [0] * 48
    gate.push_levels(np.full(4, -45, np.float32))  # a quiet voice is
    assert [gate.next(2) for _ in range(4)] == [1, 1, 1, 1]


@pytest.mark.parametrize("lookahead", [2, 3, 6, 25])
def test_a_pause_within_speech_does_not_shut(lookahead: int) -> None:
    """Measured on 16 clips of natural speech: in pauses up to 0.7 s the filmed mouth is as open as in speech."""
    pause = [-80.0] * (LONG_PAUSE_FRAMES - 1)
    assert min(shares([-20.0] * 10 + pause + [-20.0] * 10, lookahead)) == 1


def test_a_long_pause_shuts_late_live_and_from_its_beginning_in_a_file() -> None:
    levels = [-20.0] * 10 + [-80.0] * 60 + [-20.0] * 10
    live, file = (np.array(shares(levels, lookahead)) for lookahead in (3, 25))
    assert np.flatnonzero(live < 1)[0] == 10 + LONG_PAUSE_FRAMES - 3 - 1
    assert np.flatnonzero(file < 1)[0] == 10 + HOLD_FRAMES
    for shut, beginning in ((live, LONG_PAUSE_FRAMES), (file, HOLD_FRAMES)):
        assert shut[10 + beginning + CLOSING_FRAMES : 65].max() == 0
        assert min(shut[70:]) == 1
    assert live[67] == file[65] == 1  # lips lead the sound, as far as it is known


@pytest.mark.parametrize("level", [-60.0, -43.0, -30.0])
def test_steady_noise_shuts_within_two_seconds(level: float) -> None:
    noise = level + np.random.default_rng(2).normal(0, 0.5, 500)
    assert max(shares(noise.tolist())[50:]) == 0


def test_speech_over_loud_steady_noise_is_heard_and_the_floor_falls_with_the_noise() -> None:
    rng = np.random.default_rng(3)
    noise = -35 + rng.normal(0, 0.5, 100)
    word = np.maximum(noise[:40], -18 + rng.normal(0, 4, 40))
    opened = shares([*noise, *word, *noise, *[-80.0] * 100, *(word - 20)])
    assert max(opened[65:95]) == 0
    assert min(opened[102:138]) == 1
    assert max(opened[165:335]) == 0
    assert max(opened[345:]) == 1


@pytest.mark.parametrize(("level", "seconds"), [(-70.0, 1), (-60.0, 1), (-50.0, 6), (-43.0, 6), (-25.0, 6)])
def test_the_mouth_does_not_twitch_in_noise_that_comes_and_goes_a_little(level: float, seconds: int) -> None:
    """Loud noise is taken for speech until it has been heard to be steady."""
    noise = level + np.random.default_rng(6).normal(0, 1.5, 60 * 25)
    after_speech = shares([-20.0] * 50 + noise.tolist())
    assert max(after_speech[50 + 25 * seconds :]) == 0


def test_one_opening_for_one_word_however_its_level_trembles() -> None:
    word = -24 + np.random.default_rng(1).normal(0, 6, 40)
    opened = np.array(shares([-70.0] * 50 + word.tolist() + [-70.0] * 50)) > 0
    assert np.abs(np.diff(opened.astype(int))).sum() == 2


def openings(levels: list[float], voice: list[float], lookahead: int = 2) -> list[float]:
    gate = SilenceGate()
    gate.push_levels(np.array(levels, np.float32))
    gate.set_voice(len(levels), np.array(voice, np.float32))
    return [gate.next(lookahead) for _ in levels]


def test_noise_as_loud_as_a_voice_is_none_where_a_readout_is_sure_of_it() -> None:
    levels = [-80.0] * 10 + [-20.0] * 30
    assert max(shares(levels)) == 1
    assert max(openings(levels, [-1.0] * 40)) == 0
    levels += [-20.0] * 200
    assert openings(levels, [0.0] * 240) == shares(levels, 2)  # never learned


def test_a_voice_is_heard_that_level_alone_takes_for_a_pause() -> None:
    levels = [-20.0] * 20 + [-51.0] * 30
    assert shares(levels, 2)[-1] == 0
    assert openings(levels, [1.0] * 50)[-1] == 1
    assert openings([*levels[:20], *[-60.0] * 30], [1.0] * 50)[-1] == 0  # too quiet to be one


def test_the_later_verdict_on_a_frame_counts() -> None:
    gate = SilenceGate()
    gate.push_levels(np.array(loud(60), np.float32))
    gate.set_voice(6, np.full(6, 1, np.float32))
    assert gate.next(2) == 1
    gate.set_voice(60, np.full(60, -1, np.float32))  # of the first one too, which has left
    assert [gate.next(2) for _ in range(50)][-1] == 0


def loud(frames: int) -> list[float]:
    """Levels that come and go as those of speech and music do; steady ones would be noise."""
    return ([-18.0] * 3 + [-26.0] * 3) * (frames // 6) + [-18.0] * (frames % 6)


def test_music_before_any_voice_does_not_open_the_mouth() -> None:
    """Measured on plucked strings with drums: -0.4 to 0.6, most of it above the gate's own limits."""
    music = np.random.default_rng(2).uniform(-0.4, 0.6, 200).tolist()
    assert min(shares(loud(200))[1:]) == 1
    opened = openings(loud(200), music)
    assert max(opened) <= 0.4
    assert max(opened[8:]) == 0


def test_music_after_a_voice_moves_the_mouth_for_a_moment_alone() -> None:
    music = np.random.default_rng(2).uniform(-0.4, 0.6, 200).tolist()
    opened = openings(loud(260), [0.9] * 60 + music)
    assert min(opened[1:85]) == 1
    assert max(opened[60 + 2 * UNPROVEN_FRAMES + CLOSING_FRAMES :]) == 0


def test_the_first_word_opens_the_mouth_before_it_is_heard() -> None:
    voice = np.array([-1.0] * 20 + [0.3, 0.5] + [0.9] * 18, np.float32)
    gate, opened = SilenceGate(), []
    gate.push_levels(np.array([-80.0] * 20 + [-20.0] * 20, np.float32))
    for frame in range(36):
        gate.set_voice(frame + 4, voice[: frame + 4])
        opened.append(gate.next(3))
    assert opened[16] == 0
    assert 0 < opened[17] < opened[18] < 1  # slowly, until it is surely a voice
    assert min(opened[19:]) == 1


def test_speech_opens_over_music_and_what_follows_it_does_not() -> None:
    voice = [0.3] * 100 + [0.4, 0.7, 0.95, 0.6, 0.9] * 10 + [0.3] * 100
    opened = openings(loud(250), voice)
    assert opened[60] == 0
    assert min(opened[101:150]) == 1
    assert opened[-1] == 0


def test_speech_that_is_surely_a_voice_now_and_then_keeps_the_mouth_moving() -> None:
    assert min(openings(loud(200), ([0.3] * 24 + [0.9]) * 8)[1:]) == 1


def test_pauses_use_up_nothing_of_what_may_pass_for_speech() -> None:
    levels, voice = [*loud(10), *[-80.0] * 200, *loud(20)], [0.9] * 10 + [-1.0] * 200 + [0.3] * 20
    assert openings(levels, voice)[-1] == 1
