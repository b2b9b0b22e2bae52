"""Lip-syncs one session, from pictures and speech to pictures, without sockets, threads or a clock.

The file path and the live path both run this; a live server adds only a pacer behind it.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.backdrop import composed
from mytalk.appearance.interfaces import Appearance
from mytalk.appearance.look import Look
from mytalk.appearance.people import PeopleRenderer
from mytalk.controls.mouth import Mouth
from mytalk.controls.stages import shaped
from mytalk.controls.timeline import ControlTimeline
from mytalk.controls.values import Controls
from mytalk.errors import EngineError
from mytalk.face import Choice, Face, HeadPose, PoseFilter, SpeakerTracker, fit_pose
from mytalk.face.landmarks import LOWER_FACE
from mytalk.marking.watermark import Watermark
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.batch import MotionBackend
from mytalk.motion.conditions import MotionRequest, SampledMotion
from mytalk.motion.faces import MAX_PEOPLE
from mytalk.motion.interpolation import MotionCurve
from mytalk.motion.memory import MAX_REWIND
from mytalk.motion.own_speech import Correction
from mytalk.motion.stream import MotionStream
from mytalk.picture import Picture, VideoFrame
from mytalk.portrait_motion import PortraitMotion
from mytalk.presets import PROFILES
from mytalk.speech.stream import EncodedSpeech
from mytalk.stream_options import StreamControls, StreamOptions

MAX_PENDING = 512
"""Pictures that may wait for their speech. Full: push_frame raises; nothing is dropped."""

FADE_FRAMES = 3
MAX_YAW = 0.9
"""Radians of yaw from which on a face is left untouched."""


FaceStatus = Literal["unknown", "seen", "none", "small", "turned"]
"""Status of the face that speaks in the newest picture: usable (``seen``), or why not. ``none``: not found, or
covered; ``unknown``: there was no picture yet."""


@dataclass(slots=True)
class _Waiting:
    """Holds a picture on its way through, with its face and pose."""

    frame: VideoFrame
    face: Face | None
    pose: HeadPose | None
    with_face: int  # pictures since the face came (back)


class LipSyncStream:
    """Turns pictures and speech of one session into pictures whose mouths speak it.

    Frames leave in order with the timestamps they came with, ``latency`` samples of media time later. Not thread-safe,
    but one other thread may call ``track``, and one more ``encode_speech``: they share no state with the other
    methods, nor with each other.
    """

    def __init__(
        self,
        motion: MotionBackend,
        appearance: Appearance | None,
        options: StreamOptions,
        steps: int,
    ) -> None:
        profile = PROFILES[options.profile]
        self.latency = (profile.hop + profile.lookahead) * FRAME_SAMPLES
        self.speech_samples = 0
        self._model = motion
        self._options = options
        self._controls = options.controls(steps)
        self._timeline = ControlTimeline(self._controls)
        self._next_at = 0  # media time from which no picture has been made
        self._motion = MotionStream(
            motion,
            profile,
            steps=self._controls.steps,
            seed=self._controls.seed,
            generation=options.generation,
            own_speech=options.own_speech,
        )
        self._watermark = None if options.watermark is None else Watermark(options.watermark)
        self._people = PeopleRenderer(appearance, MAX_PEOPLE, still=options.still, reuse_residual=options.live)
        self._tracker: SpeakerTracker | None = None
        self.face_status: FaceStatus = "unknown"
        self._missing_reason: FaceStatus = "none"  # why ``track`` found none, where it did not
        self._still_face: tuple[Picture, Choice, Face | None] | None = None
        self._portrait: PortraitMotion | None = None
        if options.still:
            self._portrait = PortraitMotion(options.seed, alive=options.alive, live=options.live)
        self._poses = PoseFilter()
        self._waiting: deque[_Waiting] = deque()
        self._emitted: deque[_Waiting] = deque()  # pictures that ``clear`` may take back
        self._curve = MotionCurve()
        self._pictures_with_face = FADE_FRAMES
        self._person = 0  # in the last picture that showed a face
        self._finished = False
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._counts: Counter[str] = Counter()

    @property
    def controls(self) -> StreamControls:
        """Returns the controls that hold. A change fades in over 120 ms of pictures from its ``since`` on, or from the
        next picture on where it names none; seed, steps and face hold from the next window and tracked face on. A
        portrait's own small motion keeps its first seed. To be set on the thread that pulls."""
        return self._controls

    @controls.setter
    def controls(self, controls: StreamControls) -> None:
        self._controls = controls
        self._timeline.change(controls, self._next_at if controls.since is None else controls.since)
        self._motion.steps, self._motion.seed = controls.steps, controls.seed

    @property
    def stats(self) -> dict[str, float]:
        """Returns milliseconds spent in each stage so far, and counts of frames.

        ``passthrough`` counts pictures that left as they came, ``no_face`` those of them without a usable face.
        ``not_finite`` counts motion frames and pictures for which a model gave NaN: the pictures passed through.
        """
        stages = ("detect", "hear", "motion", "render")
        return {
            **{f"{name}_ms": self._seconds[name] * 1e3 for name in stages},
            **{k: float(v) for k, v in dict(self._counts).items()},  # another thread may count meanwhile
            "not_finite": float(self._motion.not_finite + self._counts["not_finite"]),
        }

    def track(self, picture: Picture) -> Face | None:
        """Finds the face in the next picture; pictures in order. A picture that is the last one again costs nothing."""
        choice = self._controls.face
        if self._still_face is not None and self._still_face[0] is picture and self._still_face[1] == choice:
            return self._still_face[2]
        if self._tracker is None:
            self._tracker = SpeakerTracker(choice)
        with self._timed("detect"):
            self._tracker.choice = choice
            face = self._tracker(picture)
        self._missing_reason = "small" if self._tracker.too_small else "none"
        self._still_face = (picture, choice, face)
        return face

    def enrol(self, pictures: list[tuple[Picture, Face]]) -> None:
        """Learns reference mouths and rest shape from pictures of the people to be seen, before the first frame."""
        usable = [(picture, face, fit_pose(face)) for picture, face in pictures]
        for person in dict.fromkeys(face.person for _, face, _ in usable):
            own = [pose.to_canonical(face.points) for _, face, pose in usable if face.person == person]
            self._motion.enrol(own, person)
        for picture, face, pose in usable:
            self._people.observe(face.person, picture, pose, _lower(face))

    def adapt(self, corrections: Mapping[int, Correction], anybody: Correction | None = None) -> None:
        """Adapts motion to people by their own speech: see `MotionStream.adapt`. On the thread that pulls."""
        self._motion.adapt(corrections, anybody)

    def push_frame(self, frame: VideoFrame, face: Face | None) -> None:
        """Takes the next picture, in order of ``at``, and the face that ``track`` found in it.

        Raises EngineError when 512 pictures already wait for speech.
        """
        if len(self._waiting) >= MAX_PENDING:
            raise EngineError(f"{MAX_PENDING} pictures wait for their speech: push speech (or silence) too, and pull")
        if self._waiting and frame.at < self._waiting[-1].frame.at:
            raise EngineError(
                f"picture at {frame.at} comes after one at {self._waiting[-1].frame.at}: need them in order"
            )
        pose: HeadPose | None = None
        self.face_status = self._missing_reason if face is None else "seen"
        if face is not None and face.person != self._person:
            self._person, self._pictures_with_face = face.person, 0
            self._poses.reset()
        if face is not None:
            raw = fit_pose(face)
            if abs(raw.yaw) <= MAX_YAW:
                pose = self._poses(raw, frame.at)
            else:
                self.face_status = "turned"
        if pose is None or face is None:
            self._poses.reset()
            face, self._pictures_with_face = None, 0
        else:
            self._pictures_with_face += 1
        points = None if face is None or pose is None else pose.to_canonical(face.points)
        self._motion.push_face(frame.at, points, self._person)
        self._waiting.append(_Waiting(frame, face, pose, self._pictures_with_face))

    def hold_video(self, at: int) -> None:
        """Says that no picture comes before media time ``at``: speech need not wait for one."""
        self._motion.push_face(at, None)

    def push_speech(self, samples: NDArray[np.float32]) -> None:
        """Takes speech, 16 kHz mono, -1..1, going on where the last call ended; media time 0 to begin with."""
        self.push_encoded(self.encode_speech(samples))

    def encode_speech(self, samples: NDArray[np.float32]) -> EncodedSpeech:
        """Encodes speech for ``push_encoded``, which takes the results in order: the longer part of ``push_speech``.

        Another thread may call this, but not while ``clear`` runs.
        """
        with self._timed("hear"):
            return self._motion.encode_speech(samples)

    def push_encoded(self, encoded: EncodedSpeech) -> None:
        """Takes what ``encode_speech`` returned: the rest of ``push_speech``."""
        self._motion.push_encoded(encoded)
        self.speech_samples += encoded.samples
        if self._portrait is not None:
            self._portrait.hear(encoded.levels)

    def finish(self) -> None:
        """Ends the input: what waits comes out of ``pull``, the mouth staying as it was last."""
        self._finished = True

    def clear(self, at: int | None = None, generation: int | None = None) -> int:
        """Forgets speech not yet spoken (barge-in); returns the media time from which new speech goes on.

        A live stream makes the pictures from media time ``at`` on again, those that were pulled already as well: half
        a second of them at most. They come first out of ``pull``. ``generation`` is the number that begins; None: the
        next one, where nobody else counts barge-ins.
        """
        self.speech_samples = self._motion.clear(None if at is None else at // FRAME_SAMPLES, generation)
        self._curve.forget_from(self.speech_samples)
        if self._portrait is not None:
            self._portrait.forget_from(self.speech_samples)
        while self._emitted and self._emitted[-1].frame.at >= max(self.speech_samples, at or 0):
            self._waiting.appendleft(self._emitted.pop())
        return self.speech_samples

    def request(self) -> MotionRequest | None:
        """Returns the next window to be sampled, for ``accept``. A caller that leaves it to ``pull`` has it sampled
        alone."""
        return None if self._finished else self._motion.request()

    def accept(self, request: MotionRequest, sampled: SampledMotion) -> None:
        """Takes the motion that was sampled for a request."""
        self._curve.extend(self._motion.accept(request, sampled))

    def pull(self) -> Iterator[VideoFrame]:
        """Yields pictures whose mouths are known by now."""
        with self._timed("motion"):
            self._curve.extend(self._motion.finish() if self._finished else self._motion.advance())
        while self._waiting:
            waiting = self._waiting[0]
            if not self._finished and not self._ready(waiting.frame.at):
                return
            self._waiting.popleft()
            if self._options.live:
                self._emitted.append(waiting)
                while self._emitted[0].frame.at < waiting.frame.at - MAX_REWIND * FRAME_SAMPLES:
                    self._emitted.popleft()
            frame = self._animate(self._render(waiting), waiting)
            yield frame if frame.picture.matte is None else replace(frame, picture=composed(frame.picture))

    def close(self) -> None:
        """Drops the tracker. Call it from the thread that tracks, or when that one has ended."""
        self._tracker = None

    def _ready(self, at: int) -> bool:
        """Says whether motion on both sides of ``at`` is there, and enough pictures after it to see the face go."""
        return -(-at // FRAME_SAMPLES) < self._motion.emitted and len(self._waiting) >= FADE_FRAMES

    def _render(self, waiting: _Waiting) -> VideoFrame:
        self._counts["frames"] += 1
        self._next_at = waiting.frame.at + 1
        lower = self._shape_at(waiting.frame.at)
        if lower is None or waiting.face is None or waiting.pose is None:
            self._counts["passthrough"] += 1
            if waiting.face is None:
                self._counts["no_face"] += 1
            return waiting.frame
        with self._timed("render"):
            face, frame, pose = waiting.face, waiting.frame, waiting.pose
            source, target = _lower(face), pose.to_frame(lower)[:, :2]
            self._people.refinement = self._controls.refinement
            if self._options.learn:
                self._people.observe(face.person, frame.picture, pose, source)
            opacity, tracked = self._opacity(waiting), face.points[:, :2]
            looks = self._timeline.shares(frame.at, _look_of)
            try:
                with np.errstate(invalid="raise"):  # a NaN that would become a pixel
                    picture = self._people.render(
                        face.person, frame.picture, pose, source, target, opacity, tracked, looks
                    )
            except FloatingPointError:
                self._counts["not_finite"] += 1
                return waiting.frame
            if self._watermark is not None and picture is not waiting.frame.picture:
                picture = self._watermark.mark(picture, waiting.pose, waiting.frame.at, opacity)
        return VideoFrame(picture, waiting.frame.at, waiting.frame.pts, waiting.frame.time_base)

    def _animate(self, frame: VideoFrame, waiting: _Waiting) -> VideoFrame:
        """Turns the portrait's head, eyes and brows."""
        if self._portrait is None or waiting.face is None:
            return frame
        with self._timed("render"):
            return self._portrait.animated(frame, waiting.frame.picture, waiting.face, self._timeline)

    def _opacity(self, waiting: _Waiting) -> float:
        """Fades in after the face has come back, and out before it goes."""
        ahead = next((i for i, w in enumerate(self._waiting) if w.face is None), FADE_FRAMES)
        opacity = min(1.0, waiting.with_face / FADE_FRAMES, (ahead + 1) / FADE_FRAMES)
        voice = self._curve.voice_at(waiting.frame.at)
        return min(
            opacity, self._timeline.faded(waiting.frame.at, lambda one: 1.0 if one.on_silence == "close" else voice)
        )

    def _shape_at(self, at: int) -> NDArray[np.float32] | None:
        """Returns the lower face at media time ``at``, canonical ``(169, 3)``, as the controls have it."""
        lower = self._curve.shape_at(at, self._motion.emitted)
        if lower is None:
            return None
        mouth = Mouth(lower, self._curve.rest, self._curve.voice_at(at), at, self._model.space)
        return self._timeline.faded(at, lambda controls: shaped(mouth, controls))

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[stage] += time.perf_counter() - start


def _look_of(controls: Controls) -> Look:
    return controls.references if isinstance(controls, StreamControls) else ()


def _lower(face: Face) -> NDArray[np.float32]:
    return np.ascontiguousarray(face.points[list(LOWER_FACE), :2])
