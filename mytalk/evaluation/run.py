"""Runs the whole of ``mytalk evaluate``: takes jobs, makes one report. One clip after the other, and no film held in
memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mytalk.errors import MyTalkError, NoSpeechError, UnreadableError
from mytalk.evaluation.clip import ClipResult, ClipScorer, Judges, Voice
from mytalk.evaluation.closure import bilabials_beside
from mytalk.evaluation.engine import EngineRun
from mytalk.evaluation.extras import missing
from mytalk.evaluation.films import Film, side_by_side
from mytalk.evaluation.jobs import Job
from mytalk.evaluation.metrics import METRICS
from mytalk.evaluation.motion import LipTrack
from mytalk.evaluation.sync import Curve
from mytalk.face import FaceTracker
from mytalk.media import SpeechReader
from mytalk.media_time import FRAME_SAMPLES
from mytalk.stream_options import StreamOptions

if TYPE_CHECKING:
    from mytalk.pipeline import Pipeline

Progress = Callable[[int, int | None], None]


@dataclass(slots=True)
class Report:
    """Holds all clips, what was run, and what could not be computed and why."""

    what: dict[str, str | int | None]
    clips: list[ClipResult] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)  # metric -> why
    whole: dict[str, float] = field(default_factory=dict)  # figures of all clips together
    warnings: list[str] = field(default_factory=list)

    @property
    def scored(self) -> list[ClipResult]:
        return [clip for clip in self.clips if clip.failed is None]


def evaluate(
    jobs: Sequence[Job],
    judges: Judges,
    *,
    pipeline: Pipeline | None = None,
    options: StreamOptions | None = None,
    window: int | None = None,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Scores every job. A clip that fails stands in the report with its error; the others go on.

    ``pipeline``: needed for jobs without a generated film. ``window``: frames at 25 Hz of each window of the system
    that made the films, for their seams.
    """
    options = options or StreamOptions()
    ticks = _Ticks(jobs, progress)
    report = Report(_describe(jobs, pipeline, options))
    for job in jobs:
        try:
            report.clips.append(_score(job, judges, pipeline, options, window, ticks, report.warnings))
        except MyTalkError as error:
            report.clips.append(ClipResult(job.name, job.voice.stem, failed=str(error)))
    if judges.fid is not None and judges.fid.frames:
        report.whole["fid"] = judges.fid.score()
        report.warnings.append(f"FID rests on {judges.fid.frames} frames a set (2048 at least are wanted)")
    for metric in METRICS:
        values = [clip.scores.get(metric.key, float("nan")) for clip in report.clips]
        if np.isnan(values).all() and np.isnan(report.whole.get(metric.key, float("nan"))):
            absent = missing("skimage.metrics") if metric.key in ("ssim", "mouth_ssim") else None
            report.missing[metric.key] = absent or metric.missing
    return report


def _score(
    job: Job,
    judges: Judges,
    pipeline: Pipeline | None,
    options: StreamOptions,
    window: int | None,
    ticks: _Ticks,
    warnings: list[str],
) -> ClipResult:
    true = Film(job.true)
    voice = _voice(job, true)
    scorer = ClipScorer(job.name, voice, judges, compare=job.paired)
    own_sound = voice.sound if job.paired else true.sound()
    if job.generated is None:
        if pipeline is None:
            raise UnreadableError(f"{job.true}: no generated film is given (need one, or a preset that makes it)")
        run = EngineRun(pipeline, true, voice.sound, options, paired=job.paired)
        scorer.run(run, ticks)
        result = scorer.result(window=run.hop, requested=run.requested, own_sound=own_sound)
    else:
        generated = Film(job.generated)
        scorer.run(side_by_side(generated, true), ticks)
        result = scorer.result(window=window, own_sound=own_sound)
        warnings += generated.reader.warnings
    warnings += true.reader.warnings
    return result


def _voice(job: Job, true: Film) -> Voice:
    """Returns the speech that the generated mouth follows, and how its own speaker's mouth moves with it."""
    bilabials = bilabials_beside(job.voice)
    if job.paired:
        sound = true.sound()
        if sound is None:
            raise NoSpeechError(f"{job.true}: no sound in it (need a film that speaks)")
        return Voice(job.voice.stem, sound, None, bilabials)
    chunks = list(SpeechReader(job.voice).samples())
    sound = np.concatenate(chunks)
    return Voice(job.voice.stem, sound, _aperture_of(job.voice, len(sound) // FRAME_SAMPLES), bilabials)


def _aperture_of(path: Path, frames: int) -> Curve:
    """Tracks the aperture of the face in a film, at 25 Hz; all NaN where it is a sound only."""
    track = LipTrack()
    with suppress(UnreadableError):
        film = Film(path)
        tracker = FaceTracker()
        for frame in film.frames():
            track.push(frame.at, tracker(frame.picture))
    return track.curve(frames)


class _Ticks:
    """Counts the frames done, of all clips."""

    def __init__(self, jobs: Sequence[Job], progress: Progress) -> None:
        self._done, self._progress = 0, progress
        self._total: int | None = 0
        for job in jobs:
            frames = None
            with suppress(MyTalkError):
                frames = Film(job.generated or job.true).expected_frames
            self._total = None if frames is None or self._total is None else self._total + frames

    def __call__(self) -> None:
        self._done += 1
        self._progress(self._done, self._total)


def _describe(jobs: Sequence[Job], pipeline: Pipeline | None, options: StreamOptions) -> dict[str, str | int | None]:
    paired = sum(job.paired for job in jobs)
    mode = "paired" if paired == len(jobs) else "unpaired" if paired == 0 else "paired and unpaired"
    if pipeline is None:
        return {"system": "finished films", "mode": mode}
    return {
        "system": f"MyTalk streamer, preset {pipeline.preset.name}",
        "mode": mode,
        "profile": options.profile,
        "steps": options.steps or pipeline.steps,
        "seed": options.seed,
        "device": str(pipeline.device),
    }
