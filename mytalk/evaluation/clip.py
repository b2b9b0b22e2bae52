"""Scores one clip: every measure over its moments, and what a report shows of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mytalk.errors import NoFaceError
from mytalk.evaluation.arcface import ArcFace, IdentitySimilarity
from mytalk.evaluation.closure import Bilabial
from mytalk.evaluation.extras import extra
from mytalk.evaluation.fidelity import Fidelity
from mytalk.evaluation.first_stage import RequestedMotion
from mytalk.evaluation.lse import SyncTrack
from mytalk.evaluation.moment import Measure, Moment, Pair, watch
from mytalk.evaluation.motion import MotionScores, SpeechReference, aperture_scores
from mytalk.evaluation.outside import Outside
from mytalk.evaluation.perceptual import Fid, Lpips, LpipsNetwork, load_inception, load_lpips
from mytalk.evaluation.seams import seam_score
from mytalk.evaluation.strips import Cell, Strip
from mytalk.evaluation.sync import Curve
from mytalk.evaluation.syncnet import SyncNet, load_syncnet
from mytalk.face.tracker import MIN_FACE_PIXELS
from mytalk.media_time import MOTION_RATE, SAMPLE_RATE

Sound = NDArray[np.float32]
Tick = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Judges:
    """Holds networks that the user brought weights for; None: not computed."""

    syncnet: SyncNet | None = None
    arcface: ArcFace | None = None
    lpips: LpipsNetwork | None = None
    fid: Fid | None = None

    @classmethod
    def load(
        cls,
        syncnet: Path | None = None,
        arcface: Path | None = None,
        lpips: Path | None = None,
        fid: Path | None = None,
    ) -> Judges:
        """Loads the networks. Raises what the loaders raise: a measure that was asked for by name is never left out
        in silence."""
        if syncnet is not None:
            extra("python_speech_features")
        return cls(
            None if syncnet is None else load_syncnet(syncnet),
            None if arcface is None else ArcFace(arcface),
            None if lpips is None else load_lpips(lpips),
            None if fid is None else Fid(load_inception(fid)),
        )


@dataclass(frozen=True, slots=True)
class Voice:
    """Holds the speech of a clip. ``aperture`` None: that of the clip's own filmed mouth."""

    name: str
    sound: Sound
    aperture: Curve | None = None
    bilabials: list[Bilabial] | None = None


@dataclass(slots=True)
class ClipResult:
    """Holds what is known of one clip. ``failed`` says why there are no scores."""

    clip: str
    speech: str
    frames: int = 0
    scores: dict[str, float] = field(default_factory=dict)
    failed: str | None = None
    curves: dict[str, Curve] = field(default_factory=dict)  # aperture at 25 Hz: filmed, speaker, generated, asked
    by_frame: dict[str, list[tuple[float, float]]] = field(default_factory=dict)  # (seconds, figure)
    even: list[Cell] = field(default_factory=list)
    worst: list[Cell] = field(default_factory=list)


class ClipScorer:
    """Runs all measures over one clip."""

    def __init__(self, name: str, voice: Voice, judges: Judges, *, compare: bool) -> None:
        self._name, self._voice, self._judges, self._compare = name, voice, judges, compare
        self._fidelity, self._motion = Fidelity(compare=compare), MotionScores(compare)
        self._measures: list[Measure] = [self._fidelity, Outside()]
        if judges.lpips is not None and compare:
            self._measures.append(Lpips(judges.lpips))
        if judges.arcface is not None:
            self._measures.append(IdentitySimilarity(judges.arcface))
        self._sync = None if judges.syncnet is None else (SyncTrack(judges.syncnet), SyncTrack(judges.syncnet))
        self._strip = Strip(compare=compare)
        self._result = ClipResult(name, voice.name)
        self._untouched = 0
        self._seen = False  # a face in both films

    def run(self, pairs: Iterable[Pair], tick: Tick) -> None:
        """Measures all moments of the clip. Raises NoFaceError where no moment shows a face in both films."""
        for moment in watch(pairs):
            self._push(moment)
            tick()
        if not self._seen:
            need = f"need one at least {MIN_FACE_PIXELS} px wide, seen from the front"
            raise NoFaceError(f"{self._name}: no frame shows a face in both films ({need})")

    def result(
        self, *, window: int | None, requested: RequestedMotion | None = None, own_sound: Sound | None = None
    ) -> ClipResult:
        """Returns the clip's scores.

        ``window``: motion frames that each window of the maker emits. ``own_sound``: of the filmed speaker.
        """
        result, motion = self._result, self._motion
        for measure in self._measures:
            result.scores |= measure.scores()
        span = min(motion.generated.frames, len(self._voice.sound) * MOTION_RATE // SAMPLE_RATE)
        own = motion.true.curve(span)
        reference = SpeechReference(
            self._voice.sound, own if self._voice.aperture is None else self._voice.aperture, self._voice.bilabials
        )
        frames = motion.frames(reference)
        borders = None if window is None else range(window, frames, window)
        result.scores |= motion.scores(reference, borders)
        result.curves = {"generated": motion.generated.curve(frames), "filmed": own[:frames]}
        if self._voice.aperture is not None:
            result.curves["speaker"] = self._voice.aperture[:frames]
        if requested is not None and borders is not None:
            self._score_requested(requested, reference, borders, own[:frames])
            result.scores["passthrough"] = self._untouched / max(result.frames, 1)
        self._read_sync(own_sound)
        return result

    def _push(self, moment: Moment) -> None:
        result = self._result
        result.frames += 1
        self._untouched += moment.generated is moment.true
        for measure in self._measures:
            measure.push(moment)
        self._motion.push(moment)
        if self._judges.fid is not None:
            self._judges.fid.push(moment)
        if self._sync is not None:
            self._sync[0].push(moment.at, moment.generated, moment.generated_face)
            self._sync[1].push(moment.at, moment.true, moment.face)
        self._strip.push(moment, self._motion.mouth_lmd)
        self._seen = self._seen or not np.isnan(self._motion.mouth_lmd)
        for key, value in (("mouth_lmd", self._motion.mouth_lmd), ("mouth_psnr", self._fidelity.mouth_psnr)):
            if self._compare and not np.isnan(value):
                result.by_frame.setdefault(key, []).append((moment.at / SAMPLE_RATE, value))
        result.even, result.worst = self._strip.even, self._strip.worst

    def _score_requested(
        self, requested: RequestedMotion, reference: SpeechReference, borders: Sequence[int], own: Curve
    ) -> None:
        frames = len(own)
        ours = requested.curve(frames)
        scores = aperture_scores(ours, reference.aperture[:frames], reference)
        figures = {key: scores[key] for key in ("correlation", "lag", "closed_in_silence") if key in scores}
        self._result.scores |= {f"asked_{key}": value for key, value in figures.items()}
        if not np.isnan(ours).all():
            moved = max(float(np.nanstd(own)), 1e-6)
            self._result.scores["asked_range_ratio"] = float(np.nanstd(ours)) / moved
        seam = seam_score(requested.shapes(frames), borders)
        self._result.scores |= {"asked_seam": seam.ratio, "asked_seam_chance": seam.chance[1]}
        self._result.curves["asked"] = ours

    def _read_sync(self, own_sound: Sound | None) -> None:
        if self._sync is None:
            return
        sounds = (self._voice.sound, self._voice.sound if own_sound is None else own_sound)
        for track, sound, prefix in zip(self._sync, sounds, ("", "true_"), strict=True):
            reading = track.read(sound)
            if reading is not None:
                figures = {"lse_d": reading.distance, "lse_c": reading.confidence, "lse_offset": float(reading.offset)}
                self._result.scores |= {prefix + key: value for key, value in figures.items() if prefix + key in _KNOWN}


_KNOWN = frozenset({"lse_d", "lse_c", "lse_offset", "true_lse_d", "true_lse_c"})
