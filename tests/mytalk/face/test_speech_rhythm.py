"""A head dips at stressed syllables and turns with phrases, the same streamed and offline, after a barge-in too."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.face.speech_rhythm import LOOKAHEAD, MAX_FRAMES, PHRASE_BROWS, QUIET, RhythmPose, SpeechRhythm
from mytalk.media_time import FRAME_SAMPLES, MOTION_RATE

FRAMES = 12 * MOTION_RATE


def levels(seed: int = 0) -> NDArray[np.float32]:
    """Syllables of -20 dB five times a second, in phrases of 2 s with pauses of 1 s."""
    frame = np.arange(FRAMES)
    spoken = (frame % (3 * MOTION_RATE) < 2 * MOTION_RATE) & (frame % 5 < 3)
    noise = np.random.default_rng(seed).uniform(-3, 3, FRAMES)
    return np.where(spoken, -20 + noise, -75).astype(np.float32)


def poses(rhythm: SpeechRhythm, moments: range) -> Iterator[RhythmPose]:
    return (rhythm.at(at) for at in moments)


def moments(first: int = 0, last: int = FRAMES) -> range:
    return range(first * FRAME_SAMPLES, last * FRAME_SAMPLES, FRAME_SAMPLES * 3 // 4)


@pytest.mark.parametrize("chunk", [1, 2, 7, 50])
def test_streamed_equals_offline(chunk: int) -> None:
    whole, streamed = SpeechRhythm(5), SpeechRhythm(5)
    whole.push(levels())
    expected, pushed = list(poses(whole, moments())), 0
    for at, turn in zip(moments(), expected, strict=True):
        while pushed * FRAME_SAMPLES < at + (LOOKAHEAD + 2) * FRAME_SAMPLES and pushed < FRAMES:
            streamed.push(levels()[pushed : pushed + chunk])
            pushed += chunk
        assert streamed.at(at) == turn


def test_a_barge_in_is_followed_as_if_nothing_else_had_been_said() -> None:
    clean, cleared = SpeechRhythm(5), SpeechRhythm(5)
    cut = 4 * MOTION_RATE
    said = np.concatenate([levels()[:cut], levels(1)[: FRAMES - cut]])
    clean.push(said)
    cleared.push(levels())
    list(poses(cleared, moments(0, cut + 10)))
    cleared.forget_from(cut * FRAME_SAMPLES)
    cleared.push(said[cut:])
    list(poses(clean, moments(0, cut + 10)))
    assert list(poses(cleared, moments(cut - 8))) == list(poses(clean, moments(cut - 8)))


def test_the_head_dips_at_a_stress_and_turns_with_the_phrase() -> None:
    rhythm = SpeechRhythm(5)
    rhythm.push(levels())
    spoken = list(poses(rhythm, moments()))
    track = [one.turn for one in spoken]
    pitch, yaw = np.array([one.pitch for one in track]), np.array([one.yaw for one in track])
    assert -4 < pitch.min() < -0.5
    assert np.abs(yaw).max() > 0.3
    brows = np.array([one.brows for one in spoken])
    assert 0.02 < brows.max() <= PHRASE_BROWS
    assert (brows < 0.01).mean() > 0.3
    assert np.abs(np.diff([[one.yaw, one.pitch, one.roll] for one in track], axis=0)).max() < 0.6


def test_silence_leaves_the_head_alone_and_another_seed_turns_it_elsewhere() -> None:
    silent, one, other = SpeechRhythm(5), SpeechRhythm(5), SpeechRhythm(6)
    silent.push(np.full(FRAMES, -75, np.float32))
    assert set(poses(silent, moments())) == {QUIET}
    for rhythm in (one, other):
        rhythm.push(levels())
    yaws = [[one.turn.yaw for one in poses(rhythm, moments())] for rhythm in (one, other)]
    assert not np.allclose(*yaws)


def test_memory_is_bounded_by_what_a_barge_in_may_ask_for() -> None:
    rhythm = SpeechRhythm(5)
    for first in range(0, FRAMES, 5):
        rhythm.push(levels()[first : first + 5])
        rhythm.at(max(0, first - 5) * FRAME_SAMPLES)
    assert len(rhythm._frames) <= MAX_FRAMES + 12
