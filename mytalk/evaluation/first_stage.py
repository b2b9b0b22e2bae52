"""Runs stage 1 alone: the landmarks that it asks for, before any pixel."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mytalk.evaluation.films import Sound
from mytalk.face import Face, PoseFilter, fit_pose
from mytalk.face.landmarks import LIPS, aperture
from mytalk.lipsync_stream import MAX_YAW
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.batch import MotionBackend
from mytalk.motion.own_speech import Correction
from mytalk.motion.stream import MotionFrame, MotionStream
from mytalk.presets import PROFILES
from mytalk.stream_options import StreamOptions

_NOISE = 0.05  # RMS of a steady noise that no level gate takes for silence


@dataclass(slots=True)
class RequestedMotion:
    """Holds what stage 1 asked for, one row a motion frame; NaN before the face was known."""

    aperture: dict[int, float] = field(default_factory=dict)
    lips: dict[int, NDArray[np.float32]] = field(default_factory=dict)  # (40, 2) canonical

    def take(self, frames: Iterator[MotionFrame]) -> None:
        for frame in frames:
            self.aperture[frame.index] = float(aperture(frame.lower))
            self.lips[frame.index] = frame.lower[: len(LIPS), :2].copy()

    @property
    def frames(self) -> int:
        return len(self.aperture)

    def curve(self, frames: int) -> NDArray[np.float32]:
        return np.array([self.aperture.get(index, np.nan) for index in range(frames)], np.float32)

    def shapes(self, frames: int) -> NDArray[np.float32]:
        """Returns lips ``(frames, 40, 2)``."""
        unknown = np.full((len(LIPS), 2), np.nan, np.float32)
        return np.stack([self.lips.get(index, unknown) for index in range(frames)])


class FirstStage:
    """Runs stage 1 on faces and speech, as a live session hands them on; read ``requested`` after."""

    def __init__(self, model: MotionBackend, steps: int, options: StreamOptions) -> None:
        profile = PROFILES[options.profile]
        self._motion = MotionStream(model, profile, steps=options.steps or steps, seed=options.seed)
        self._poses = PoseFilter()
        self.latency = (profile.hop + profile.lookahead) * FRAME_SAMPLES
        self.requested = RequestedMotion()
        self.cpu_seconds = 0.0  # of this thread: hearing, sampling and decoding

    def enrol(self, faces: Iterable[Face]) -> None:
        self._motion.enrol([fit_pose(face).to_canonical(face.points) for face in faces])

    def adapt(self, corrections: Mapping[int, Correction]) -> None:
        self._motion.adapt(corrections)

    def push_face(self, at: int, face: Face | None) -> None:
        pose = None if face is None else fit_pose(face)
        if face is None or pose is None or abs(pose.yaw) > MAX_YAW:
            self._poses.reset()
            self._motion.push_face(at, None)
        else:
            self._motion.push_face(at, self._poses(pose, at).to_canonical(face.points))

    def push_speech(self, samples: Sound) -> None:
        begun = time.thread_time()
        self._motion.push_speech(samples)
        self.requested.take(self._motion.advance())
        self.cpu_seconds += time.thread_time() - begun

    def finish(self) -> None:
        self.requested.take(self._motion.finish())


def request_motion(
    stage: FirstStage, tracked: Iterable[tuple[int, Face | None]], speech: Sound, enrolment: int
) -> RequestedMotion:
    """Returns what stage 1 asks for on ``speech``, and silence after it, and on ``tracked``: media times and faces,
    in order. The faces before ``enrolment`` enrol; 0: none do."""
    tracked = list(tracked)
    stage.enrol([face for at, face in tracked if face is not None and at < enrolment])
    reference = 0
    for at, face in tracked:
        stage.push_face(at, face)
        until = max(reference, at + stage.latency + FRAME_SAMPLES)
        part = speech[reference:until]
        stage.push_speech(np.pad(part, (0, until - reference - len(part))))
        reference = until
    stage.finish()
    return stage.requested


def steady_noise(samples: int) -> Sound:
    """Makes noise to be heard instead of speech: a mouth that follows the filmed one then reads it off the face."""
    return (_NOISE * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)


def in_noise(sound: Sound, below: float) -> Sound:
    """Adds pink noise ``below`` dB under the speech."""
    white = np.random.default_rng(1).standard_normal(len(sound))
    tilt = 1 / np.sqrt(np.maximum(np.arange(len(sound) // 2 + 1), 20))
    pink = np.fft.irfft(np.fft.rfft(white) * tilt, len(sound))
    level = np.sqrt(np.mean(sound**2) / max(float(np.mean(pink**2)), 1e-20)) * 10 ** (-below / 20)
    return np.asarray(sound + level * pink, np.float32)
