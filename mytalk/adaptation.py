"""Adapts a session to an actor by a film in which they speak: what is dubbed, or another clip of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mytalk.errors import NoSpeechError
from mytalk.face import Choice, Face, PoseFilter, SpeakerTracker, fit_pose
from mytalk.face.landmarks import LOWER_FACE
from mytalk.lipsync_stream import MAX_YAW, LipSyncStream
from mytalk.media import SpeechReader
from mytalk.media.face_source import ClipSource, FaceSource
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.motion.batch import MotionBackend
from mytalk.motion.own_speech import Correction, Learned, OwnSpeech
from mytalk.presets import PROFILES
from mytalk.speech.feed import SpeechFeed
from mytalk.speech.stream import EncodedSpeech, SpeechStream

if TYPE_CHECKING:
    from mytalk.pipeline import Pipeline
    from mytalk.stream_options import StreamOptions

MOST_SAMPLES = 60 * SAMPLE_RATE
"""Media time of a film that is watched and heard before it is dubbed."""


@dataclass(frozen=True, slots=True)
class Adaptation:
    """Holds the corrections that a film gave, by person, and the faces of its pictures where all of them were seen."""

    learned: Mapping[int, Learned]
    problem: str | None = None  # why nothing could be learned of anybody
    faces: list[Face | None] | None = field(default=None, repr=False)

    @property
    def corrections(self) -> dict[int, Correction]:
        return {person: one.correction for person, one in self.learned.items() if one.correction is not None}

    @property
    def main(self) -> Learned | None:
        """Returns what was learned of the person who speaks longest, those with a correction first."""
        people = list(self.learned.values())
        return max(people, key=lambda one: (one.correction is not None, one.seconds)) if people else None

    @property
    def message(self) -> str:
        """Says in words what was adapted to, or why nothing was."""
        main = self.main
        if main is None:
            return f"not adapted: {self.problem or 'nobody speaks there with the face in view'}"
        if main.correction is None:
            return f"not adapted: {main.reason}"
        return f"adapted to {main.seconds:.1f} s of own speech"


def adapt_stream(
    pipeline: Pipeline,
    stream: LipSyncStream,
    face: FaceSource,
    options: StreamOptions,
    style: ClipSource | None,
    *,
    own_speech: bool,
) -> Adaptation | None:
    """Adapts the stream to the film that is given for it; None where none is."""
    if style is not None:
        adaptation = adapt_to_film(pipeline, style, options.profile)
        main = adaptation.main
        stream.adapt({}, None if main is None else main.correction)
        return adaptation
    if not own_speech or not isinstance(face, ClipSource):
        return None
    adaptation = adapt_to_film(pipeline, face, options.profile, options.face)
    stream.adapt(adaptation.corrections)
    return adaptation


def adapt_to_film(pipeline: Pipeline, film: ClipSource, profile: str, choice: Choice = "largest") -> Adaptation:
    """Learns from a film's own sound how its people speak; from its first minute. ``choice``: whose face."""
    try:
        speech = SpeechReader(film.reader.path).beside_picture()
    except NoSpeechError:
        return Adaptation({}, "the film has no sound")
    stream = speech_stream(pipeline.motion, profile)
    feed = SpeechFeed(stream.push, speech)
    tracker = SpeakerTracker(choice)
    faces: list[Face | None] = []
    whole = True

    def tracked() -> Iterator[tuple[int, Face | None]]:
        nonlocal whole
        for frame in film.frames():
            if frame.at >= MOST_SAMPLES:
                whole = False
                return
            faces.append(tracker(frame.picture))
            yield frame.at, faces[-1]

    learned = learn_own_speech(pipeline.motion, profile, tracked(), feed.encode_until)
    return Adaptation(learned, faces=faces if whole else None)


def learn_own_speech(
    model: MotionBackend,
    profile: str,
    tracked: Iterable[tuple[int, Face | None]],
    heard: Callable[[int], list[EncodedSpeech]],
) -> Mapping[int, Learned]:
    """Learns from media times and faces, in order, and the sound that ``heard`` encodes up to a media time.

    Nothing is learned where the model has no readout.
    """
    window = PROFILES[profile]
    own, poses = OwnSpeech(model.space, window), PoseFilter()
    ahead = (window.hop + window.lookahead + 1) * FRAME_SAMPLES
    for at, face in tracked:
        pose = None if face is None else fit_pose(face)
        if face is None or pose is None or abs(pose.yaw) > MAX_YAW:
            poses.reset()
            own.see(at, None, 0 if face is None else face.person)
        else:
            own.see(at, poses(pose, at).to_canonical(face.points)[list(LOWER_FACE)], face.person)
        for part in heard(at + ahead):
            own.hear(part.estimates)
        own.advance(at // FRAME_SAMPLES)
    own.finish()
    return own.learned()


def speech_stream(model: MotionBackend, profile: str) -> SpeechStream:
    """Starts a stream of speech that is read as a session of that profile reads its own."""
    window = PROFILES[profile]
    return SpeechStream(
        model.extractor, window.hop, window.lookahead % window.hop, readout_frames=window.hop + window.lookahead
    )


def heard_from(
    model: MotionBackend, profile: str, sound: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> Callable[[int], list[EncodedSpeech]]:
    """Returns what encodes a recording up to a media time, silence after its end: for `learn_own_speech`."""
    stream, encoded = speech_stream(model, profile), 0

    def until(at: int) -> list[EncodedSpeech]:
        nonlocal encoded
        part = sound[encoded:at]
        part = np.pad(part, (0, max(0, at - encoded - len(part))))
        encoded = max(encoded, at)
        return [stream.push(part)]

    return until
