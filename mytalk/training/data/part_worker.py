"""Turns one part of a video into clips: what a worker process of a preparation does."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mytalk.errors import InputError
from mytalk.evaluation.offset import MARGIN, OffsetEstimator
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.motion.agreement import Offset
from mytalk.training.data.clip_members import write_landmarks, write_sound
from mytalk.training.data.journal import Rejection
from mytalk.training.data.recording import SHORTEST, Recorded, Recorder
from mytalk.training.data.screening import Limits, Reason, Screen, Seen
from mytalk.training.data.shots import Part, Probe, shots, sound
from mytalk.training.data.voice_activity import is_speech


@dataclass(frozen=True, slots=True)
class Job:
    """Describes one part of one video."""

    folder: Path
    source: str
    person: str
    licence: str
    probe: Probe
    part: Part
    parts: int
    size: int
    limits: Limits
    strict: bool
    keep_offset: bool
    sync_weights: str

    @property
    def path(self) -> Path:
        return self.folder / self.source


@dataclass(frozen=True, slots=True)
class Clip:
    """Holds a finished clip on its way to a shard."""

    key: str
    start: float
    frames: int
    offset_ms: float
    members: Mapping[str, bytes]


@dataclass(slots=True)
class PartResult:
    """Holds all that came of a part."""

    clips: list[Clip] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    seconds: float = 0.0  # of video
    work: float = 0.0  # seconds of processor


def begin(lifeline: Connection) -> None:
    """Sets up a worker process: one thread, deaf to Ctrl-C, gone when the other end of ``lifeline`` is."""
    use_one_thread()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def use_one_thread() -> None:
    """Limits this process's libraries to one thread."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _end_with(lifeline: Connection) -> None:
    wait([lifeline])
    os._exit(1)


def make(job: Job) -> PartResult:
    """Makes the clips of a part, and says what was left out of it and why. A file that cannot be read is left out as
    well."""
    began = time.process_time()
    result = PartResult()
    recorded: list[Recorded] = []
    try:
        _watch(job, recorded, result)
        if recorded:
            _finish(job, recorded, result)
    except (InputError, av.FFmpegError) as error:
        result.clips.clear()
        result.rejected[:] = [reject(job.source, job.part, Reason.UNREADABLE, str(error), job.probe.seconds)]
    result.work = time.process_time() - began
    return result


def reject(source: str, part: Part, reason: Reason, detail: str, seconds: float | None = None) -> Rejection:
    """Rejects a whole part of a video that is ``seconds`` long."""
    start = part.first / SAMPLE_RATE
    end = (seconds or start) if part.end is None else part.end / SAMPLE_RATE
    return Rejection(source, start, max(start, end), reason, " ".join(detail.split()))


def _watch(job: Job, recorded: list[Recorded], result: PartResult) -> None:
    """Plays the part once: its runs become clips without sound."""
    runs = _Runs(job, recorded, result)
    for screened in Screen(job.limits).look(shots(job.path, job.probe, job.part)):
        runs.push(screened)
    runs.finish()
    result.seconds = max(0, runs.end - job.part.first) / SAMPLE_RATE


class _Runs:
    """Sorts pictures into runs: of one usable face, or of one reason to leave them out."""

    def __init__(self, job: Job, recorded: list[Recorded], result: PartResult) -> None:
        self._job, self._recorded, self._part_result = job, recorded, result
        self._recorder: Recorder | None = None
        self._reason: Reason | None = None
        self._start = 0
        self._step = round(SAMPLE_RATE / job.probe.rate)
        self.end = job.part.first  # where the last picture stops being shown

    def push(self, screened: Seen) -> None:
        usable = screened.tracked is not None
        if (usable and screened.new_run) or screened.reason is not self._reason:
            self._end_run(screened.at)
        if self._recorder is None and usable:
            self._recorder, self._start = Recorder(self._job.size), screened.at
        elif self._reason is None and not usable:
            self._reason, self._start = screened.reason, screened.at
        if screened.tracked is not None and self._recorder is not None:
            self._recorded += self._recorder.push(screened.tracked)
        self.end = screened.at + self._step

    def finish(self) -> None:
        self._end_run(self.end)

    def _end_run(self, at: int) -> None:
        if self._reason is not None:
            self._reject(self._start, at, self._reason)
        if self._recorder is not None:
            last = self._recorder.finish()
            if last is not None:
                self._recorded.append(last)
            elif at - self._start < SHORTEST * FRAME_SAMPLES:
                self._reject(self._start, at, Reason.TOO_SHORT)
        self._recorder, self._reason = None, None

    def _reject(self, start: int, end: int, reason: Reason) -> None:
        self._part_result.rejected.append(Rejection(self._job.source, start / SAMPLE_RATE, end / SAMPLE_RATE, reason))


def _finish(job: Job, recorded: list[Recorded], result: PartResult) -> None:
    """Adds the clips' sound, in sync, and leaves out those that must not be learned from."""
    first = recorded[0].at - MARGIN
    speech = sound(job.path, job.probe, first, recorded[-1].end + MARGIN)
    spoken = []
    for clip in recorded:
        if is_speech(speech[clip.at - first : clip.end - first]):
            spoken.append(clip)
        else:
            result.rejected.append(_rejected_clip(job, clip, Reason.NO_SPEECH, ""))
    if not spoken:
        return
    padded = [
        (clip.landmarks.canonical, speech[clip.at - first - MARGIN : clip.end - first + MARGIN]) for clip in spoken
    ]
    offset = _estimator(job.sync_weights).estimate(padded)
    problem = offset.problem(strict=job.strict)
    for clip in spoken:
        if problem is not None:
            result.rejected.append(_rejected_clip(job, clip, Reason.OUT_OF_SYNC, problem))
            continue
        removed = 0.0 if job.keep_offset else offset.to_remove_ms
        start = clip.at - first + round(removed * SAMPLE_RATE / 1000)
        part = speech[start : start + clip.frames * FRAME_SAMPLES]
        result.clips.append(_clip(job, clip, removed, _about(job, clip, offset), part))


def _rejected_clip(job: Job, clip: Recorded, reason: Reason, detail: str) -> Rejection:
    return Rejection(job.source, clip.at / SAMPLE_RATE, clip.end / SAMPLE_RATE, reason, detail)


def _about(job: Job, clip: Recorded, offset: Offset) -> dict[str, Any]:
    return {
        "person": job.person,
        "source": job.source,
        "start": clip.at / SAMPLE_RATE,
        "frames": clip.frames,
        "size": job.size,
        "source_fps": round(job.probe.rate, 3),
        "source_face_pixels": round(clip.face_pixels, 1),
        "offset_measured_ms": round(offset.ms, 1),
        "offset_confidence": round(offset.confidence, 2),
        "offset_confident": offset.confident,
        "sync_correlation": round(offset.correlation, 3),
        **({"licence": job.licence} if job.licence else {}),
    }


def _clip(job: Job, clip: Recorded, removed: float, about: dict[str, Any], speech: NDArray[np.float32]) -> Clip:
    removed = round(removed, 1)
    members = {
        "json": json.dumps({**about, "offset_ms": removed}, ensure_ascii=False).encode(),
        "mp4": clip.pictures,
        "flac": write_sound(speech),
        "npz": write_landmarks(clip.landmarks),
    }
    return Clip(_key(job.source, clip.at), clip.at / SAMPLE_RATE, clip.frames, removed, members)


def _key(source: str, at: int) -> str:
    """Makes a clip's key: unique in any folder, the same in every run; without dots, which end a key in WebDataset's
    naming."""
    name = re.sub(r"[^0-9A-Za-z]+", "_", str(Path(source).with_suffix(""))).strip("_")[-40:]
    return f"{name}-{hashlib.sha256(source.encode()).hexdigest()[:6]}-{at * 1000 // SAMPLE_RATE:08}"


@lru_cache(maxsize=1)
def _estimator(weights: str) -> OffsetEstimator:
    return OffsetEstimator(weights)
