"""A recording goes on across an absence of the camera without a hole, and loses none of the speech."""

from __future__ import annotations

import numpy as np
import pytest

from streamer.media.audio import CHUNK, CHUNK_TIME, SpeechChunk
from streamer.outputs.absence import AbsenceCut
from streamer.webrtc.encoded import Encoded

SILENCE = np.zeros((CHUNK, 2), np.int16)


def picture(at: int, key: bool = False) -> Encoded:
    return Encoded(b"", [], at, at * 45 // 8, 0, key)


def recorded(first: int, away: range, last: int, key_after: int) -> tuple[list[SpeechChunk], list[Encoded]]:
    """Records chunks ``first`` to ``last`` with pictures beside every second one; from chunk ``away`` on the camera is
    away, and ``key_after`` chunks after its return a keyframe comes."""
    cut, items = AbsenceCut(), list[SpeechChunk | Encoded]()
    for n in range(first, last):
        items += cut.sound(SpeechChunk(n * CHUNK_TIME, SILENCE + n, away=n in away))
        if n % 2 == 0 or n == away.stop + key_after:
            assert cut.needs_key == (away.stop <= n <= away.stop + key_after)
            items += cut.picture(picture(n * CHUNK_TIME + 7, key=n == away.stop + key_after))
    return [one for one in items if isinstance(one, SpeechChunk)], [one for one in items if isinstance(one, Encoded)]


@pytest.mark.parametrize("key_after", [0, 1, 6])
def test_what_comes_after_an_absence_follows_what_came_before(key_after: int) -> None:
    sounds, pictures = recorded(100, range(200, 1500), 1600, key_after)
    assert [one.at for one in sounds] == [n * CHUNK_TIME for n in range(100, 300)]
    assert [int(one.samples[0, 0]) for one in sounds] == [*range(100, 200), *range(1500, 1600)]
    stamps = [one.timestamp for one in pictures]
    assert stamps == sorted(set(stamps))
    assert max(np.diff(stamps)) <= (2 + key_after) * 1800
    assert [one.timestamp for one in pictures] == [one.at * 45 // 8 for one in pictures]


def test_two_absences_are_both_left_out() -> None:
    cut, ats = AbsenceCut(), list[int]()
    for n in range(300):
        away = n in range(100, 150) or n in range(200, 250)
        ats += [one.at for one in cut.sound(SpeechChunk(n * CHUNK_TIME, SILENCE, away=away))]
        ats += [one.at for one in cut.picture(picture(n * CHUNK_TIME, key=True)) if isinstance(one, SpeechChunk)]
    assert ats == [n * CHUNK_TIME for n in range(200)]


def test_sound_that_waits_for_a_keyframe_is_bounded() -> None:
    cut = AbsenceCut()
    [*cut.sound(SpeechChunk(0, SILENCE, away=True))]
    for n in range(1, 1000):
        assert not [*cut.sound(SpeechChunk(n * CHUNK_TIME, SILENCE))]
    assert len([*cut.picture(picture(1000 * CHUNK_TIME, key=True))]) <= 51
