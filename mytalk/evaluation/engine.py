"""Runs our engine on a film, frame by frame, before any encoder: what a viewer of a lossless copy would see."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from mytalk.evaluation.films import Pictures, Sound
from mytalk.evaluation.first_stage import FirstStage, RequestedMotion
from mytalk.evaluation.moment import Pair
from mytalk.face import Face
from mytalk.lipsync_stream import LipSyncStream
from mytalk.media.face_source import picture_bytes
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.motion.own_speech import Correction
from mytalk.picture import VideoFrame
from mytalk.presets import PROFILES
from mytalk.stream_options import StreamOptions

if TYPE_CHECKING:
    from mytalk.pipeline import Pipeline

ENROL = 3 * SAMPLE_RATE
ENROL_SHORT = ENROL // 2
SHORT_SECONDS = 4
"""Seconds of a paired clip up to which it enrols its speaker with 1.5 s, so that half of it is left to compare."""

_ENROL_BYTES = 512 * 1024 * 1024  # of pictures read ahead, at most

Tracked = tuple[VideoFrame, Face | None]


def enrolment_of(film: Pictures, *, paired: bool) -> int:
    """Returns samples of media time in which a film's mouths may be learned; a still picture is learned from once."""
    if film.still:
        return 1
    short = paired and film.seconds is not None and film.seconds <= SHORT_SECONDS
    return ENROL_SHORT if short else ENROL


class EngineRun:
    """Makes one film say ``sound``: iterate for its pairs, and read ``requested`` after.

    The first seconds enrol the speaker; pairs of that time are marked as not to be scored where ``paired``. Then the
    engine may keep no more mouths (``learn`` False): the true mouth of each frame would be the very answer. The film
    ends where its pictures or the speech end. Stage 1 runs twice, once on its own, for what it asks for.

    ``enrol`` False: the engine starts knowing nothing of the person, as a live session does; the same pairs are scored.
    ``faces``: those of the film's pictures in order, where they were tracked before. ``corrections``: of own speech, by
    person.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        film: Pictures,
        sound: Sound,
        options: StreamOptions,
        *,
        paired: bool,
        enrol: bool = True,
        faces: Iterable[Face | None] | None = None,
        corrections: Mapping[int, Correction] | None = None,
    ) -> None:
        self._film, self._sound, self._paired, self._enrols, self._faces = film, sound, paired, enrol, faces
        self._stream: LipSyncStream = pipeline.stream(replace(options, learn=not paired))
        self._first = FirstStage(pipeline.motion, pipeline.steps, options)
        if corrections is not None:
            self._stream.adapt(corrections)
            self._first.adapt(corrections)
        self._enrolment = enrolment_of(film, paired=paired)
        self.hop = PROFILES[options.profile].hop  # motion frames that each window emits
        self._waiting: deque[Tracked] = deque()  # bounded by the stream's latency

    @property
    def requested(self) -> RequestedMotion:
        """Returns what stage 1 asked for."""
        return self._first.requested

    @property
    def cpu_seconds(self) -> float:
        """Returns CPU time of stage 1 in this thread."""
        return self._first.cpu_seconds

    def __iter__(self) -> Iterator[Pair]:
        try:
            tracked = self._track()
            for frame, face in chain(self._enrol(tracked) if self._enrols else (), tracked):
                if frame.at >= len(self._sound):
                    break
                self._waiting.append((frame, face))
                self._stream.push_frame(frame, face)
                self._first.push_face(frame.at, face)
                self._speak(frame.at + self._stream.latency + FRAME_SAMPLES)
                yield from self._pull()
            self._stream.finish()
            yield from self._pull()
            self._first.finish()
        finally:
            self._stream.close()

    def _track(self) -> Iterator[Tracked]:
        if self._faces is not None:
            yield from zip(self._film.frames(), self._faces, strict=False)
            return
        for frame in self._film.frames():
            yield frame, self._stream.track(frame.picture)

    def _enrol(self, tracked: Iterator[Tracked]) -> list[Tracked]:
        ahead: list[Tracked] = []
        room = max(2, _ENROL_BYTES // picture_bytes(self._film.info))
        for frame, face in tracked:
            ahead.append((frame, face))
            if frame.at >= self._enrolment or len(ahead) >= room:
                break
        seen = [(f.picture, face) for f, face in ahead if face is not None and f.at < self._enrolment]
        if seen:
            self._stream.enrol(seen)
            self._first.enrol(face for _, face in seen)
        return ahead

    def _speak(self, until: int) -> None:
        reference = self._stream.speech_samples
        part = self._sound[reference:until]
        part = np.pad(part, (0, max(0, until - reference - len(part))))
        self._stream.push_speech(part)
        self._first.push_speech(part)

    def _pull(self) -> Iterator[Pair]:
        for generated in self._stream.pull():
            frame, face = self._waiting.popleft()
            yield Pair(frame, generated, face, scored=not (self._paired and frame.at < self._enrolment))
