"""Sync measures on curves of known answer."""

from __future__ import annotations

import numpy as np
import pytest

from mytalk.evaluation import best_lag, sync_score
from mytalk.evaluation.sync import correlation, silence


def curve(frames: int = 200) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    rng = np.random.default_rng(0)
    return np.convolve(rng.uniform(0, 0.2, frames + 4), np.ones(5) / 5, "valid").astype(np.float32)


@pytest.mark.parametrize("late", [-5, -1, 0, 3, 7])
def test_the_lag_is_found(late: int) -> None:
    true = curve()
    lag, best = best_lag(np.roll(true, late), true)
    assert lag == late
    assert best > 0.95


def test_a_copy_scores_one_and_noise_scores_nothing() -> None:
    true, sound = curve(), np.ones(200 * 640, np.float32)
    same = sync_score(true, true, sound)
    assert same.correlation == pytest.approx(1)
    assert same.range_ratio == pytest.approx(1)
    assert abs(sync_score(curve(200)[::-1].copy(), true, sound).correlation) < 0.3


def test_a_mouth_that_does_not_move_scores_nothing() -> None:
    assert correlation(np.zeros(50, np.float32), curve(50)) == 0


def test_frames_without_a_face_do_not_count() -> None:
    true = curve()
    ours = true.copy()
    ours[20:60] = np.nan
    score = sync_score(ours, true, np.ones(200 * 640, np.float32))
    assert score.frames == 160
    assert score.correlation == pytest.approx(1)


def test_only_the_settled_part_of_a_silence_counts() -> None:
    loud, nothing = np.full(50 * 640, 0.1, np.float32), np.zeros(50 * 640, np.float32)
    quiet = silence(np.concatenate([loud, nothing, loud]))
    assert np.flatnonzero(quiet).tolist() == list(range(70, 95))  # 0.8 s in, 0.2 s before the next sound
    sound = np.concatenate([loud, nothing])
    assert silence(sound)[70:].all()  # nothing is known to follow
    ours = np.concatenate([np.full(72, 0.1), np.zeros(28)]).astype(np.float32)
    assert sync_score(ours, curve(100), sound).closed_in_silence == pytest.approx(28 / 30)


def test_a_pause_within_an_utterance_is_no_settled_silence() -> None:
    loud, pause = np.full(50 * 640, 0.1, np.float32), np.zeros(24 * 640, np.float32)
    assert not silence(np.concatenate([loud, pause, loud])).any()
