"""Figures of a speaking mouth, on mouths of known movement."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.evaluation.filmed import Shapes
from mytalk.evaluation.motion import SpeechReference
from mytalk.evaluation.speaking import jitter, lip_distance, other_speech, own_speech
from mytalk.face.landmarks import LIPS
from mytalk.media_time import FRAME_SAMPLES

FRAMES = 200
SPEAKS = 120  # frames; silence follows


def sound() -> NDArray[np.float32]:
    noise = np.random.default_rng(0).normal(0, 0.1, FRAMES * FRAME_SAMPLES).astype(np.float32)
    noise[SPEAKS * FRAME_SAMPLES :] = 0
    return noise


def gap(late: int = 0, seed: int = 1) -> NDArray[np.float32]:
    """A mouth that opens and closes at random while there is speech."""
    steps = np.random.default_rng(seed).uniform(0, 0.4, FRAMES + 20)
    smooth = np.convolve(steps, np.ones(5) / 5, "same")[10 - late : FRAMES + 10 - late]
    smooth[SPEAKS:] = 0
    return smooth.astype(np.float32)


def mouth(aperture: NDArray[np.float32], tremble: float = 0.0) -> Shapes:
    """Lips whose lower half drops by the aperture; all of them shake by ``tremble`` from frame to frame."""
    lips = np.zeros((len(aperture), len(LIPS), 2), np.float32)
    lips[:, : len(LIPS) // 2, 1] = aperture[:, None]
    lips[:, :, 0] += np.where(np.arange(len(aperture)) % 2, tremble, 0)[:, None].astype(np.float32)
    return Shapes(aperture, lips)


def reference(aperture: NDArray[np.float32]) -> SpeechReference:
    return SpeechReference(sound(), aperture)


def test_the_true_mouth_is_perfect() -> None:
    true = mouth(gap(), tremble=0.01)
    scores = own_speech(true, true, reference(true.aperture))
    assert scores["correlation"] == pytest.approx(1)
    assert (scores["lag"], scores["in_time"], scores["lip_distance"]) == (0, 1, 0)
    assert scores["range_ratio"] == pytest.approx(1)
    assert scores["jitter"] == pytest.approx(1)
    assert scores["closed_in_silence"] == 1
    assert scores["still_distance"] > 0.01


def test_a_late_mouth_is_not_in_time() -> None:
    true = mouth(gap())
    scores = own_speech(mouth(gap(late=3)), true, reference(true.aperture))
    assert (scores["lag"], scores["in_time"]) == (3, 0)


def test_a_mouth_that_never_moves_is_not_in_time_and_as_far_off_as_stated() -> None:
    true = mouth(gap(), tremble=0.01)
    held = Shapes(np.full(FRAMES, 0.1, np.float32), np.broadcast_to(true.lips.mean(axis=0), true.lips.shape))
    scores = own_speech(held, true, reference(true.aperture))
    assert scores["in_time"] == 0
    assert scores["correlation"] == 0
    assert scores["lip_distance"] == pytest.approx(scores["still_distance"], rel=1e-5)
    assert scores["jitter"] == 0


def test_jitter_is_that_of_silence_alone() -> None:
    assert jitter(mouth(gap(), tremble=0.02).lips, reference(gap())) == pytest.approx(0.02, rel=1e-3)
    assert np.isnan(jitter(mouth(gap()).lips[:SPEAKS], reference(gap())))


def test_lip_distance_leaves_out_frames_without_a_face() -> None:
    one, other = mouth(gap()).lips, mouth(gap()).lips.copy()
    other[:, :, 0] += 0.1
    other[50:90] = np.nan
    assert lip_distance(one, other) == pytest.approx(0.1, rel=1e-4)


def test_copying_shows_in_other_speech() -> None:
    film, speaker = mouth(gap(seed=1)), mouth(gap(seed=2))
    copied = other_speech(film, film, reference(speaker.aperture))
    spoken = other_speech(speaker, film, reference(speaker.aperture))
    assert copied["follows_film"] == pytest.approx(1)
    assert copied["correlation"] < 0.9  # not 0: both are closed in silence
    assert spoken["correlation"] == pytest.approx(1)
    assert spoken["follows_film"] == pytest.approx(copied["correlation"], abs=1e-5)
    assert copied["range_ratio"] == pytest.approx(1)


def test_a_portrait_has_no_film_to_follow() -> None:
    nothing = Shapes(np.zeros(0, np.float32), np.zeros((0, len(LIPS), 2), np.float32))
    scores = other_speech(mouth(gap()), nothing, reference(np.full(FRAMES, np.nan, np.float32)))
    assert scores["closed_in_silence"] == 1
    assert scores["range"] == pytest.approx(gap().std(), rel=1e-4)
    assert not scores.keys() & {"follows_film", "range_ratio", "correlation"}
