"""Measures how the mouth moves, against the film: landmark distance, aperture, closure and seams, from tracked
landmarks.

All in canonical space, where 1 is the distance between the eyes, so that clips of any size compare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mytalk.evaluation.closure import Bilabial, closed_share, closed_when_true
from mytalk.evaluation.moment import Moment
from mytalk.evaluation.seams import seam_score
from mytalk.evaluation.sync import SILENT, Curve, correlation, loudness, sync_score
from mytalk.face import Face, PoseFilter, fit_pose
from mytalk.face.landmarks import LIPS, LOWER_FACE, aperture
from mytalk.media_time import FRAME_SAMPLES

MIN_LAG_CORRELATION = 0.3
"""Best correlation below which curves agree too little to tell a lag."""

_LIPS, _LOWER = list(LIPS), list(LOWER_FACE)
_LIPS_OF_LOWER = slice(0, len(LIPS))

Lips = NDArray[np.float32]  # (T, 40, 2)


class LipTrack:
    """Holds the lips of one film over time: 480 bytes a frame, whatever its pictures' size."""

    def __init__(self) -> None:
        self._poses = PoseFilter()
        self._at: list[int] = []
        self._lips: list[Lips] = []
        self._aperture: list[float] = []

    def push(self, at: int, face: Face | None) -> None:
        self._at.append(at)
        if face is None:
            self._poses.reset()
            self._lips.append(np.full((len(LIPS), 2), np.nan, np.float32))
            self._aperture.append(float("nan"))
            return
        lower = self._poses(fit_pose(face), at).to_canonical(face.points)[_LOWER]
        self._lips.append(np.ascontiguousarray(lower[_LIPS_OF_LOWER, :2]))
        self._aperture.append(float(aperture(lower)))

    @property
    def frames(self) -> int:
        """Returns the motion frames that the track spans."""
        return self._at[-1] // FRAME_SAMPLES + 1 if self._at else 0

    def curve(self, frames: int) -> Curve:
        """Returns the aperture at 25 Hz, ``(frames,)``; NaN where there is no face."""
        if not self._at:
            return np.full(frames, np.nan, np.float32)
        return np.interp(np.arange(frames) * FRAME_SAMPLES, self._at, self._aperture).astype(np.float32)

    def lips(self, frames: int) -> Lips:
        """Returns the lips at 25 Hz, ``(frames, 40, 2)``."""
        if not self._at:
            return np.full((frames, len(LIPS), 2), np.nan, np.float32)
        times, rows = np.arange(frames) * FRAME_SAMPLES, np.stack(self._lips).reshape(len(self._at), -1)
        columns = [np.interp(times, self._at, column) for column in rows.T]
        return np.stack(columns, axis=1).reshape(frames, len(LIPS), 2).astype(np.float32)


@dataclass(frozen=True, slots=True)
class SpeechReference:
    """Holds the speech that the generated mouth follows, and how its own filmed speaker moved with it."""

    sound: NDArray[np.float32]  # 16 kHz
    aperture: Curve  # at 25 Hz; all NaN where the speech came without a film
    bilabials: list[Bilabial] | None = None

    def since(self, frame: int) -> SpeechReference:
        """Returns the speech from a motion frame on."""
        later = None
        if self.bilabials is not None:
            later = [Bilabial(one.first - frame, one.last - frame) for one in self.bilabials if one.first >= frame]
        return SpeechReference(self.sound[frame * FRAME_SAMPLES :], self.aperture[frame:], later)


@dataclass(slots=True)
class MotionScores:
    """Collects both mouths of a clip. ``paired``: the film's mouth says the same as the generated one."""

    paired: bool
    true: LipTrack = field(default_factory=LipTrack)
    generated: LipTrack = field(default_factory=LipTrack)
    mouth_lmd: float = float("nan")  # of the latest moment
    _mouth: list[float] = field(default_factory=list)
    _face: list[float] = field(default_factory=list)

    def push(self, moment: Moment) -> None:
        self.true.push(moment.at, moment.face)
        self.generated.push(moment.at, moment.generated_face)
        self.mouth_lmd = float("nan")
        pose, generated_pose = moment.pose, moment.generated_pose
        if moment.face is None or moment.generated_face is None or pose is None or generated_pose is None:
            return
        distance = pose.to_canonical(moment.face.points) - generated_pose.to_canonical(moment.generated_face.points)
        away = np.linalg.norm(distance[:, :2], axis=1)
        self.mouth_lmd = float(away[_LIPS].mean())
        self._mouth.append(self.mouth_lmd)
        self._face.append(float(away.mean()))

    def frames(self, reference: SpeechReference) -> int:
        """Returns the motion frames that both films and the speech have."""
        return min(self.generated.frames, len(reference.sound) // FRAME_SAMPLES, len(reference.aperture))

    def scores(self, reference: SpeechReference, borders: Sequence[int] | None) -> dict[str, float]:
        """Computes the scores.

        ``borders``: first motion frames of the windows that the motion was made in, where known.
        """
        frames = self.frames(reference)
        if frames == 0 or not self._mouth:
            return {}
        ours, theirs = self.generated.curve(frames), reference.aperture[:frames]
        out = aperture_scores(ours, theirs, reference)
        own = self.true.curve(frames)
        out["range_ratio"] = float(np.nanstd(ours) / max(float(np.nanstd(own)), 1e-6))  # of the same person
        if "correlation" in out:
            out["loudness_correlation"] = correlation(loudness(reference.sound)[:frames], theirs)
        if self.paired:
            out |= {"mouth_lmd": float(np.mean(self._mouth)), "face_lmd": float(np.mean(self._face))}
            out["still_mouth_lmd"] = _still_distance(self.true.lips(frames))
        if borders is not None:
            seam = seam_score(self.generated.lips(frames), borders)
            out |= {"seam": seam.ratio, "seam_chance": seam.chance[1]}
        return out


def aperture_scores(ours: Curve, theirs: Curve, reference: SpeechReference) -> dict[str, float]:
    """Computes correlation, lag and closure of one aperture curve against that of the speech's own speaker."""
    out: dict[str, float] = {}
    score = sync_score(ours, ours, reference.sound)
    out["closed_in_silence"] = score.closed_in_silence
    if reference.bilabials is not None:
        out["closed_at_bilabials"] = closed_share(ours, reference.bilabials)
    if np.isnan(theirs).all():
        return out
    score = sync_score(ours, theirs, reference.sound)
    out |= {
        "correlation": score.correlation,
        "lag": float(score.lag) if score.best >= MIN_LAG_CORRELATION else float("nan"),
        "best_correlation": score.best,
        "range_ratio": score.range_ratio,
        "true_closed_in_silence": sync_score(theirs, theirs, reference.sound).closed_in_silence,
        "closed_when_true": closed_when_true(ours, theirs, speaking(reference.sound, len(ours))),
    }
    if reference.bilabials is not None:
        out["true_closed_at_bilabials"] = closed_share(theirs, reference.bilabials)
    return out


def speaking(sound: NDArray[np.float32], frames: int) -> Curve:
    """Returns 1 in motion frames within 30 dB of the sound's loudest tenth, else 0."""
    level = loudness(sound)
    return np.asarray(level[:frames] > float(np.quantile(level, 0.9)) - SILENT, np.float32)


def _still_distance(lips: Lips) -> float:
    """Computes the landmark distance of a mouth that never moves: held at the film's mean shape."""
    mean = np.nanmean(lips, axis=0)
    return float(np.nanmean(np.linalg.norm(lips - mean, axis=2)))
