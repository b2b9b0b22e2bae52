"""Scores how a mouth speaks: one set of figures for landmarks that were asked for, and for landmarks seen in a film."""

from __future__ import annotations

import numpy as np

from mytalk.evaluation.filmed import Shapes, spread
from mytalk.evaluation.motion import MIN_LAG_CORRELATION, Lips, SpeechReference, aperture_scores
from mytalk.evaluation.sync import best_lag, correlation, silence
from mytalk.media_time import FRAME_SAMPLES

NEAR = 1
"""Frames by which the best lag may differ from 0 and still count as in time."""


def own_speech(ours: Shapes, filmed: Shapes, reference: SpeechReference) -> dict[str, float]:
    """Scores a mouth that says what the filmed one says. ``reference.aperture`` is the filmed one's.

    ``in_time`` is 1 where the best lag is within a frame and the curves agree enough to tell one, else 0.
    ``lip_distance`` is the mean over 40 lip points, in distances between the eyes; ``still_distance`` that of a mouth
    held at the film's own mean shape. ``jitter`` is a ratio, ours / filmed.
    """
    frames = _frames(ours, filmed, reference)
    ours, filmed = ours.until(frames), filmed.until(frames)
    out = aperture_scores(ours.aperture, filmed.aperture, reference)
    lag, best = best_lag(ours.aperture, filmed.aperture)
    moved = jitter(filmed.lips, reference)
    return out | {
        "lag": float(lag),
        "in_time": float(best >= MIN_LAG_CORRELATION and abs(lag) <= NEAR),
        "lip_distance": lip_distance(ours.lips, filmed.lips),
        "still_distance": lip_distance(_held(filmed.lips), filmed.lips),
        "jitter": jitter(ours.lips, reference) / moved if moved > 0 else float("nan"),
    }


def other_speech(ours: Shapes, filmed: Shapes, reference: SpeechReference) -> dict[str, float]:
    """Scores a mouth that says something the filmed one does not. ``reference.aperture`` is the speaker's own; NaN: not
    filmed.

    ``range_ratio`` is against the filmed mouth over its whole film, since it is the same person's; ``range`` is ours,
    in distances between the eyes. ``follows_film`` is the correlation with the filmed mouth, which says something
    else: 1 is a copy of the source, and 0 is right.
    """
    frames = _frames(ours, ours, reference)
    ours = ours.until(frames)
    out = aperture_scores(ours.aperture, reference.aperture[:frames], reference)
    out["range"] = spread(ours.aperture)
    if not len(filmed.aperture):  # a portrait
        return out
    both = min(frames, len(filmed.aperture))
    out["range_ratio"] = out["range"] / max(spread(filmed.aperture), 1e-6)
    out["follows_film"] = correlation(ours.aperture[:both], filmed.aperture[:both])
    return out


def lip_distance(one: Lips, other: Lips) -> float:
    """Averages the distance of lip points ``(T, 40, 2)`` over the frames where both are known; NaN where there are
    none."""
    away = np.linalg.norm(one - other, axis=2)
    return float(np.nanmean(away)) if not np.isnan(away).all() else float("nan")


def jitter(lips: Lips, reference: SpeechReference) -> float:
    """Computes the RMS movement of lip points from frame to frame within settled silence; NaN where there is no
    silence."""
    still = silence(reference.sound)[: len(lips)]
    steps = np.diff(lips[: len(still)], axis=0)[still[1:] & still[:-1]]
    squares = (steps**2).sum(axis=2)
    return float(np.sqrt(np.nanmean(squares))) if squares.size and not np.isnan(squares).all() else float("nan")


def _held(lips: Lips) -> Lips:
    return np.broadcast_to(np.nanmean(lips, axis=0), lips.shape)


def _frames(ours: Shapes, other: Shapes, reference: SpeechReference) -> int:
    return min(len(ours.aperture), len(other.aperture), len(reference.sound) // FRAME_SAMPLES)
