"""Defines every metric of a report once: its name, which way is better, from where on it is a weakness, and its
meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Better = Literal["high", "low", "one", "zero", "none"]


@dataclass(frozen=True, slots=True)
class Metric:
    """Describes one metric. Figures within ``good`` are no weakness: bounds of ours, to draw the eye; not of any
    standard."""

    key: str
    title: str
    better: Better
    good: tuple[float, float]
    meaning: str
    digits: int = 3
    missing: str = "the clips gave nothing to measure"  # why it may not be there
    below: str = ""  # what a figure under the good ones says
    above: str = ""

    def weak(self, value: float, chance: float = float("nan")) -> bool:
        """Says whether a figure lies outside the good ones, and above what ``chance`` alone gives, where that is
        known."""
        if self.better == "none" or np.isnan(value) or value <= chance:
            return False
        return not self.good[0] <= value <= self.good[1]

    def weak_in(self, scores: Mapping[str, float]) -> bool:
        """Says whether a clip's figure is weak."""
        nothing = float("nan")
        return self.weak(scores.get(self.key, nothing), scores.get(f"{self.key}_chance", nothing))

    def worst(self, values: Sequence[float]) -> int:
        """Returns the worst of the figures; NaN never is, unless all are."""
        table = np.array(values, float)
        with np.errstate(divide="ignore"):
            badness = {
                "high": -table,
                "low": table,
                "one": np.abs(np.log(np.maximum(table, 1e-9))),
                "zero": np.abs(table),
                "none": -table,
            }[self.better]
        return int(np.nanargmax(badness)) if not np.isnan(badness).all() else 0


_INF = float("inf")
_UNPAIRED = "unpaired: nobody filmed this face saying this"
_OWN = "only known of our own engine's runs"
_PHONES = "no times of phones beside the clips (NAME.tsv or NAME.align)"

METRICS = (
    Metric("psnr", "PSNR, face", "high", (30, _INF), "dB, 256 x 256 face crop, mean of frames", 2, _UNPAIRED,
           below="the face differs visibly from the film"),
    Metric("ssim", "SSIM, face", "high", (0.9, 1), "256 x 256 face crop", 4, _UNPAIRED,
           below="structure of the face is lost"),
    Metric("mouth_psnr", "PSNR, mouth", "high", (24, _INF), "dB, the filmed lips' box, a quarter wider", 2, _UNPAIRED,
           below="the mouth is not the filmed one"),
    Metric("mouth_ssim", "SSIM, mouth", "high", (0.8, 1), "the same box", 4, _UNPAIRED,
           below="shape or detail of the mouth is not the filmed one"),
    Metric("lpips", "LPIPS", "low", (0, 0.1), "face crop, AlexNet, v0.1", 4, "give --lpips", above="looks unlike"),
    Metric("fid", "FID", "low", (0, 10), "all generated against all filmed face crops", 2, "give --fid",
           above="generated faces are of another kind than filmed ones (few frames raise it, too)"),
    Metric("mouth_lmd", "Landmark distance, mouth", "low", (0, 0.05), "40 lip points, in distances between the eyes", 4,
           _UNPAIRED, above="lips are elsewhere than filmed"),
    Metric("still_mouth_lmd", "... of a mouth that never moves", "none", (0, _INF),
           "the filmed mouth held at its mean shape: what must be beaten", 4, _UNPAIRED),
    Metric("face_lmd", "Landmark distance, face", "low", (0, 0.03), "478 points, same unit", 4, _UNPAIRED,
           above="the face's shape changes beyond the mouth"),
    Metric("correlation", "Aperture correlation", "high", (0.7, 1),
           "lip opening against that of the speech's own speaker, Pearson at lag 0", 3,
           below="the mouth opens at the wrong moments"),
    Metric("best_correlation", "... at the best lag", "none", (-1, 1), "of -8..8 frames", 3),
    Metric("loudness_correlation", "... of loudness alone", "none", (-1, 1),
           "the speech's level against the same opening: what must be beaten", 3),
    Metric("lag", "Aperture lag", "zero", (-1, 1), "frames of 40 ms by which the mouth is late", 1,
           "nothing correlates by 0.3 or more at any lag",
           above="the mouth is late", below="the mouth is early"),
    Metric("range_ratio", "Aperture range", "one", (0.8, 1.25), "standard deviation, against the filmed mouth's", 3,
           below="the mouth moves too little", above="the mouth moves too much"),
    Metric("closed_in_silence", "Closed in silence", "high", (0.9, 1), "share of frames 800 ms into silence", 3,
           "no clip has a silence of a second", below="the mouth stands open while nobody speaks"),
    Metric("true_closed_in_silence", "... of the filmed speaker", "none", (0, 1), "", 3,
           "no clip has a silence of a second"),
    Metric("closed_when_true", "Closed when the speaker's is", "high", (0.7, 1),
           "share of the speech's closings (aperture under 0.03) that are met within a frame", 3,
           below="lips stay apart where the speaker's meet"),
    Metric("closed_at_bilabials", "Closed at p, b, m", "high", (0.9, 1), "share of them", 3, _PHONES,
           below="lips stay apart at p, b and m"),
    Metric("true_closed_at_bilabials", "... of the filmed speaker", "none", (0, 1), "", 3, _PHONES),
    Metric("seam", "Seam ratio", "low", (0, 1.15), "lip jerk at window borders over jerk inside, as tracked",
           3, "windows are not known (give --window FRAMES)", above="windows can be seen to change"),
    Metric("seam_chance", "... up to which it may be chance", "none", (0, _INF), "95 % of borders drawn at random", 3,
           "windows are not known (give --window FRAMES)"),
    Metric("mouth_flicker", "Flicker, mouth", "one", (0.75, 1.3), "change of the mouth's pixels against the film's", 3,
           below="the mouth's pixels are too calm", above="the mouth flickers"),
    Metric("outside_flicker", "Flicker outside the mouth", "zero", (0, 0.1),
           "change of luma levels a frame that the film does not have; 0 = untouched", 3,
           "generated and filmed pictures differ in size", above="what should not move flickers"),
    Metric("outside_difference", "Difference outside the mouth", "zero", (0, 1), "luma levels; 0 = untouched", 3,
           "generated and filmed pictures differ in size", above="pixels change that should not"),
    Metric("untouched", "Frames untouched outside", "high", (0, 1), "share that is equal to the bit there", 3,
           "generated and filmed pictures differ in size"),
    Metric("sharpness", "Sharpness, mouth", "one", (0.8, 1.3), "variance of the Laplacian, against the film's", 3,
           below="the mouth is blurred", above="the mouth has edges that the film has not"),
    Metric("lse_d", "LSE-D", "low", (0, 8), "SyncNet's distance at the best shift", 3, "give --syncnet",
           above="SyncNet does not find picture and sound in sync"),
    Metric("lse_c", "LSE-C", "high", (6, _INF), "SyncNet's confidence", 3, "give --syncnet",
           below="SyncNet is not sure of any shift"),
    Metric("lse_offset", "SyncNet offset", "zero", (-1, 1), "frames by which the sound is early", 1, "give --syncnet"),
    Metric("true_lse_d", "The film's own LSE-D", "none", (0, _INF), "as filmed, own sound", 3, "give --syncnet"),
    Metric("true_lse_c", "The film's own LSE-C", "none", (0, _INF), "as filmed, own sound", 3, "give --syncnet"),
    Metric("id_similarity", "IDsim", "high", (0.85, 1), "cosine of ArcFace embeddings", 4, "give --arcface",
           below="looks like somebody else"),
    Metric("asked_correlation", "Stage 1: aperture correlation", "high", (0.7, 1),
           "of the landmarks that stage 1 asked for, before any pixel", 3, _OWN,
           below="already the motion model opens at the wrong moments"),
    Metric("asked_lag", "Stage 1: lag", "zero", (-1, 1), "frames", 1, _OWN),
    Metric("asked_range_ratio", "Stage 1: range", "one", (0.8, 1.25), "against the filmed mouth's", 3, _OWN,
           below="already the motion model moves too little", above="already the motion model moves too much"),
    Metric("asked_closed_in_silence", "Stage 1: closed in silence", "high", (0.9, 1), "", 3,
           "no clip has a silence of a second, or another system's films"),
    Metric("asked_seam", "Stage 1: seam ratio", "low", (0, 1.15), "of its landmarks: no tracking noise hides a seam", 3,
           _OWN, above="motion jerks where windows meet"),
    Metric("asked_seam_chance", "... up to which it may be chance", "none", (0, _INF), "", 3, _OWN),
    Metric("passthrough", "Frames left as they were", "low", (0, 0.05), "share without a usable face, or at rest", 3,
           _OWN, above="the engine gives up often"),
)  # fmt: skip

BY_KEY = {metric.key: metric for metric in METRICS}


def full_title(metric: Metric) -> str:
    """Returns the title where it stands alone: one that goes on from the metric before it takes that one's along."""
    title = metric.title
    for before in reversed(METRICS[: METRICS.index(metric)]):
        if not title.startswith("... "):
            break
        if not before.title.startswith("... "):
            title = f"{before.title}, {title[4:]}"
    return title
