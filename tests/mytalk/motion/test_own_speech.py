"""The readout adapts to a person's own speech, and to nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Pipeline
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.own_speech import (
    BLOCK_FRAMES,
    MIN_SECONDS,
    CorrectionFit,
    HeardFrame,
    Learned,
    OwnSpeech,
    without_slow,
)
from mytalk.motion.space import MotionSpace
from mytalk.presets import PROFILES

Array = NDArray[np.float32]

COEFFICIENTS, DIRECTIONS = 24, 8
PROFILE = PROFILES["balanced"]


@pytest.fixture(scope="module")
def space(pipeline: Pipeline) -> MotionSpace:
    return pipeline.motion.space


def speech(seed: int, frames: int) -> Array:
    """Motion as quick as speech: noise over four frames."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(frames + 3, COEFFICIENTS))
    return np.float32(sum(noise[i : frames + i] for i in range(4)) / 2)


def manner(seed: int = 0) -> Array:
    """How one person differs: a map of the readout's motion to theirs."""
    mixing = np.random.default_rng(seed).normal(size=(COEFFICIENTS, COEFFICIENTS)) * 0.15
    return np.float32(np.eye(COEFFICIENTS) + mixing)


def rows(motion: Array, first: int = 0) -> Iterator[HeardFrame]:
    for index, row in enumerate(motion):
        yield HeardFrame(first + index, row, row[:DIRECTIONS] * 10, 1.0)


def listen(
    space: MotionSpace, heard: Array, filmed: Array, first: int = 0, person: int = 0, own: OwnSpeech | None = None
) -> OwnSpeech:
    """Hears motion, and sees a face that moves as filmed."""
    own = own or OwnSpeech(space, PROFILE)
    for index, lower in enumerate(space.decode(filmed)):
        own.see((first + index) * FRAME_SAMPLES, lower, person)
    own.see((first + len(filmed)) * FRAME_SAMPLES, None, person)
    own.take(rows(heard, first))
    own.advance(first + len(heard))
    return own


def learned(own: OwnSpeech, person: int = 0) -> Learned:
    own.finish()
    return own.learned()[person]


def unlike(one: Array, other: Array) -> float:
    """1 less the mean correlation of coefficients."""
    pairs = zip(one.T, other.T, strict=True)
    return 1 - float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs]))


def test_a_person_that_differs_by_a_linear_map_is_found(space: MotionSpace) -> None:
    heard = speech(1, 3000)
    found = learned(listen(space, heard, heard @ manner()))
    assert found.reason is None
    assert found.correction is not None
    fresh = speech(2, 400)
    wanted = fresh @ manner()
    corrected = found.correction(fresh, fresh[:, :DIRECTIONS] * 10)
    assert unlike(fresh, wanted) > 0.15
    assert unlike(corrected, wanted) < 0.02


def test_little_speech_changes_little(space: MotionSpace) -> None:
    heard, fresh = speech(1, 3000), speech(2, 400)
    sizes = []
    for frames in (100, 500, 3000):
        fit = CorrectionFit(DIRECTIONS, COEFFICIENTS)
        fit.add(heard[:frames], heard[:frames, :DIRECTIONS] * 10, heard[:frames] @ manner())
        moved = fit.solve()(fresh, fresh[:, :DIRECTIONS] * 10) - fresh
        sizes.append(float(np.square(moved).mean()))
    assert sizes[0] < sizes[1] < sizes[2]


def test_a_correction_leaves_the_mean_mouth_where_it_is(space: MotionSpace) -> None:
    heard = speech(1, 500) + 0.7
    fit = CorrectionFit(DIRECTIONS, COEFFICIENTS)
    fit.add(heard, heard[:, :DIRECTIONS] * 10, heard @ manner() + 2.0)
    corrected = fit.solve()(heard, heard[:, :DIRECTIONS] * 10)
    np.testing.assert_allclose(corrected.mean(0), heard.mean(0), atol=1e-3)


def test_the_sound_of_somebody_else_is_refused(space: MotionSpace) -> None:
    for seed in range(6):
        found = learned(listen(space, speech(10 + seed, 500), speech(30 + seed, 500)))
        assert found.correction is None
        assert found.reason is not None
        assert "do not belong together" in found.reason


def test_a_sound_that_is_late_is_refused(space: MotionSpace) -> None:
    said = speech(1, 510)
    found = learned(listen(space, said[:500], said[5:505]))  # what is filmed now is heard five frames later
    assert found.correction is None
    assert found.reason is not None
    assert "+200 ms late" in found.reason


def test_less_than_three_seconds_are_refused(space: MotionSpace) -> None:
    frames = round(MIN_SECONDS * 25) - 5
    heard = speech(1, frames)
    found = learned(listen(space, heard, heard @ manner()))
    assert found.correction is None
    assert found.reason is not None
    assert "need 3 s" in found.reason


def test_silence_is_not_speech(space: MotionSpace) -> None:
    own = OwnSpeech(space, PROFILE)
    heard = speech(1, 500)
    for index, lower in enumerate(space.decode(heard)):
        own.see(index * FRAME_SAMPLES, lower, 0)
    own.take(HeardFrame(row.index, row.motion, row.context, -1.0) for row in rows(heard))
    own.finish()
    assert own.learned() == {}


def test_people_are_kept_apart(space: MotionSpace) -> None:
    heard = speech(1, 800)
    own = listen(space, heard[:400], heard[:400] @ manner(1), person=3)
    listen(space, heard[400:], speech(9, 400), first=401, person=5, own=own)
    own.finish()
    found = own.learned()
    assert found[3].correction is not None
    assert found[5].correction is None


def test_faces_between_pictures_are_interpolated(space: MotionSpace) -> None:
    """A film of 30 pictures a second has none at most motion frames."""
    times = np.arange(600) * FRAME_SAMPLES * 25 // 30
    heard = speech(1, 480)
    filmed = np.stack([np.interp(times / FRAME_SAMPLES, np.arange(480), column) for column in heard.T], axis=1)
    own = OwnSpeech(space, PROFILE)
    for at, lower in zip(times.tolist(), space.decode(np.float32(filmed)), strict=True):
        own.see(at, lower, 0)
    own.take(rows(heard))
    own.advance(480)
    assert learned(own).correction is not None


def test_memory_does_not_grow(space: MotionSpace) -> None:
    """An hour that is heard and never seen, or seen and never heard, is not kept."""
    own = OwnSpeech(space, PROFILE)
    heard = speech(1, 2000)
    own.take(rows(heard))
    for index in range(2000):
        own.see(index * FRAME_SAMPLES, np.zeros((169, 3), np.float32), 0)
    assert len(own._rows) == len(own._faces) == 1500
    for person in range(9):
        first = person * 10_000
        listen(space, heard[:BLOCK_FRAMES], heard[:BLOCK_FRAMES], first=first, person=person, own=own)
    assert len(own.learned()) == 4


def test_slow_changes_are_taken_away() -> None:
    ramp = np.linspace(0, 5, 500, dtype=np.float32)[:, None]
    quick = np.sin(np.arange(500, dtype=np.float32) * 1.5)[:, None]
    found = without_slow(ramp + quick)
    assert abs(float(found[20:-20].mean())) < 0.01
    assert float(np.abs(found - quick)[20:-20].max()) < 0.1
