"""Motion measures on faces whose lips are moved by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.evaluation.closure import Bilabial
from mytalk.evaluation.moment import Moment, Pair
from mytalk.evaluation.motion import LipTrack, MotionScores, SpeechReference
from mytalk.face import Face
from mytalk.face.landmarks import LIPS, LOWER_FACE, TEMPLATE, aperture
from mytalk.media_time import FRAME_SAMPLES
from mytalk.picture import Picture, VideoFrame

SCALE = 80.0
FRAMES = 150
LOUD = np.random.default_rng(0).normal(0, 0.2, FRAMES * FRAME_SAMPLES).astype(np.float32)
PICTURE = Picture.from_rgb(np.zeros((320, 320, 3), np.uint8))
_LOWER_LIP = list(range(11))
"""Of the outer loop: corner to corner along the lower lip. The inner loop's are 20 further on."""

Curve = NDArray[np.float32]


def face(gap: float) -> Face:
    """The template with its lower lip ``gap`` eye distances below its upper one, 80 pixels an eye distance."""
    points = TEMPLATE.copy()
    lips = list(LIPS)
    lower = [lips[i] for i in (*_LOWER_LIP[1:-1], *(20 + i for i in _LOWER_LIP[1:-1]))]
    rest = float(aperture(points[list(LOWER_FACE)]))
    points[lower, 1] += gap - rest
    return Face((points * SCALE + 160).astype(np.float32))


def gaps(frames: int = FRAMES) -> Curve:
    """Openings 0..0.2 that come and go about four times a second."""
    rng = np.random.default_rng(3)
    noise = np.convolve(rng.uniform(-1, 1, frames + 4), np.ones(5) / 5, "valid")
    return np.clip(0.1 + 0.25 * noise, 0, 0.2).astype(np.float32)


def scored(true: Curve, generated: Curve, *, paired: bool = True) -> tuple[MotionScores, SpeechReference]:
    motion = MotionScores(paired)
    for index, (filmed, made) in enumerate(zip(true, generated, strict=True)):
        frame = VideoFrame(PICTURE, index * FRAME_SAMPLES, index, Fraction(1, 25))
        seen = None if np.isnan(made) else face(float(made))
        motion.push(Moment(Pair(frame, frame, face(float(filmed))), seen))
    return motion, SpeechReference(LOUD, motion.true.curve(len(true)))


def test_a_track_gives_back_the_opening() -> None:
    track = LipTrack()
    for index, gap in enumerate(gaps(40)):
        track.push(index * FRAME_SAMPLES, face(float(gap)))
    np.testing.assert_allclose(track.curve(40), gaps(40), atol=1e-3)
    assert track.lips(40).shape == (40, 40, 2)


def test_a_track_at_another_rate_is_resampled() -> None:
    track = LipTrack()
    for index in range(100):
        track.push(index * FRAME_SAMPLES // 2, face(0.002 * index))
    np.testing.assert_allclose(track.curve(50), 0.004 * np.arange(50), atol=2e-3)


def test_an_empty_track_knows_nothing() -> None:
    assert np.isnan(LipTrack().curve(5)).all()
    assert np.isnan(LipTrack().lips(5)).all()


def test_the_same_motion_is_perfect() -> None:
    motion, reference = scored(gaps(), gaps())
    scores = motion.scores(reference, range(3, FRAMES, 3))
    assert scores["mouth_lmd"] == scores["face_lmd"] == scores["lag"] == 0
    assert scores["correlation"] == pytest.approx(1)
    assert scores["range_ratio"] == pytest.approx(1)
    assert scores["closed_when_true"] == 1
    assert scores["seam"] == pytest.approx(1, abs=0.15)
    assert scores["still_mouth_lmd"] > 0


@pytest.mark.parametrize("late", [-4, 2, 6])
def test_a_late_mouth_has_its_lag(late: int) -> None:
    motion, reference = scored(gaps(), np.roll(gaps(), late))
    scores = motion.scores(reference, None)
    assert scores["lag"] == late
    assert scores["correlation"] < 0.8 < scores["best_correlation"]
    assert "seam" not in scores


def test_half_the_opening_is_half_the_range() -> None:
    motion, reference = scored(gaps(), gaps() / 2)
    assert motion.scores(reference, None)["range_ratio"] == pytest.approx(0.5, abs=0.01)


def test_landmark_distance_counts_in_eye_distances() -> None:
    """18 of 40 lip points are 0.1 too low."""
    motion, reference = scored(np.full(FRAMES, 0.1, np.float32), np.full(FRAMES, 0.2, np.float32))
    scores = motion.scores(reference, None)
    assert scores["mouth_lmd"] == pytest.approx(0.1 * 18 / 40, rel=0.01)
    assert scores["face_lmd"] == pytest.approx(0.1 * 18 / 478, rel=0.01)


def test_a_mouth_that_agrees_with_nothing_has_no_lag() -> None:
    motion, reference = scored(gaps(), np.full(FRAMES, 0.1, np.float32))
    assert np.isnan(motion.scores(reference, None)["lag"])


def test_an_unpaired_mouth_is_held_against_the_speaker_and_its_range_against_its_own() -> None:
    speaker = gaps()[::-1].copy()
    motion, _ = scored(gaps() / 2, speaker, paired=False)
    scores = motion.scores(SpeechReference(LOUD, speaker), None)
    assert scores["correlation"] == pytest.approx(1, abs=1e-3)
    assert scores["range_ratio"] == pytest.approx(2, abs=0.05)
    assert "mouth_lmd" not in scores


def test_speech_without_a_film_leaves_closure_alone() -> None:
    motion, _ = scored(gaps(), gaps(), paired=False)
    bilabials = [Bilabial(0, FRAMES)]
    scores = motion.scores(SpeechReference(LOUD, np.full(FRAMES, np.nan, np.float32), bilabials), None)
    assert scores["closed_at_bilabials"] == 1
    assert not {"correlation", "lag", "loudness_correlation", "true_closed_at_bilabials"} & set(scores)


def test_frames_without_a_face_do_not_count() -> None:
    generated = gaps()
    generated[40:80] = np.nan
    motion, reference = scored(gaps(), generated)
    scores = motion.scores(reference, None)
    assert scores["correlation"] == pytest.approx(1)
    assert scores["mouth_lmd"] == 0


def test_a_silent_mouth_that_hangs_open_is_seen() -> None:
    sound = LOUD.copy()
    sound[FRAMES // 2 * FRAME_SAMPLES :] = 0
    generated = gaps()
    generated[FRAMES // 2 :] = 0.1
    motion, reference = scored(gaps(), generated)
    assert motion.scores(SpeechReference(sound, reference.aperture), None)["closed_in_silence"] == 0
