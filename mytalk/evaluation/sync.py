"""Compares lip aperture of one video with that of another: correlation, lag, range, and rest in silence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytalk.media_time import FRAME_SAMPLES

MAX_LAG = 8  # frames either way that are searched
CLOSED = 0.03  # aperture, in distances between the eyes, up to which a mouth counts as closed
SILENT = 30.0  # dB under the loudest tenth of a recording: nobody speaks
SETTLED = 20  # frames into a silence from which the mouth ought to rest; in shorter pauses filmed mouths do not
READY = 5  # frames before the next sound from which it may open: lips lead the sound

Curve = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SyncScore:
    """Scores how well one aperture curve follows another. Frames are motion frames, 25 a second."""

    correlation: float  # Pearson, at lag 0
    lag: int  # frames by which ours is late where the correlation is best
    best: float  # the correlation there
    range_ratio: float  # standard deviation, ours / true
    closed_in_silence: float  # share of silent frames with a closed mouth; NaN where there is no silence
    frames: int


def correlation(a: Curve, b: Curve) -> float:
    """Computes Pearson's r over the frames where both are known; 0 where either does not move."""
    known = ~(np.isnan(a) | np.isnan(b))
    a, b = a[known], b[known]
    if len(a) < 3 or a.std() < 1e-6 or b.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def best_lag(ours: Curve, true: Curve) -> tuple[int, float]:
    """Finds the lag in frames (positive: ours is late) at which two curves of one length correlate best, and that r."""
    scores = {}
    for lag in range(-MAX_LAG, MAX_LAG + 1):
        a = ours[max(lag, 0) : len(ours) + min(lag, 0)]
        b = true[max(-lag, 0) : len(true) + min(-lag, 0)]
        scores[lag] = correlation(a, b)
    lag = max(scores, key=lambda key: (scores[key], -abs(key)))
    return lag, scores[lag]


def loudness(sound: NDArray[np.float32]) -> Curve:
    """Computes the level in dB of each whole motion frame of 16 kHz sound."""
    frames = sound[: len(sound) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    return np.asarray(10 * np.log10((frames**2).mean(axis=1) + 1e-10), np.float32)


def silence(sound: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Finds the settled silence: frames 800 ms and more after the last sound, and more than 200 ms before the next.

    So it takes a pause of over a second, which is one between utterances (Campione and Veronis 2002); in the shorter
    ones within an utterance people breathe in, and open their lips as far as in speech.
    """
    level = loudness(sound)
    quiet = level < max(float(np.quantile(level, 0.9)) - SILENT, -70.0)
    settled = np.zeros_like(quiet)
    run = 0
    for index, still in enumerate(quiet):
        run = run + 1 if still else 0
        settled[index] = run > SETTLED and quiet[index : index + READY + 1].all()
    return settled


def sync_score(ours: Curve, true: Curve, sound: NDArray[np.float32]) -> SyncScore:
    """Scores an aperture curve ``(T,)`` against the true one; NaN where there is no face."""
    frames = min(len(ours), len(true), len(sound) // FRAME_SAMPLES)
    ours, true = ours[:frames], true[:frames]
    lag, best = best_lag(ours, true)
    known = ~(np.isnan(ours) | np.isnan(true))
    still = silence(sound)[:frames] & ~np.isnan(ours)
    return SyncScore(
        correlation(ours, true),
        lag,
        best,
        float(ours[known].std() / max(float(true[known].std()), 1e-6)),
        float((ours[still] < CLOSED).mean()) if still.any() else float("nan"),
        int(known.sum()),
    )
