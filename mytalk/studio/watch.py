"""Looks through a film before it is dubbed: who is seen where, and whose face speaks in whose segments."""

from __future__ import annotations

import itertools
import pickle
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import IO, TYPE_CHECKING, Any, overload

import numpy as np

from mytalk.adaptation import speech_stream
from mytalk.errors import NoFaceError, NoSpeechError, OptionError
from mytalk.face import Face, PoseFilter, fit_pose
from mytalk.face.appearance_match import Descriptor, describe_face, descriptor_distance
from mytalk.face.landmarks import LOWER_FACE
from mytalk.face.people import PeopleTracker
from mytalk.face.tracker import FaceTracker
from mytalk.lipsync_stream import MAX_YAW
from mytalk.media import SpeechReader, open_face
from mytalk.media.face_source import ClipSource, StillSource
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.motion.own_speech import Correction, Learned, OwnSpeech, heard_frames
from mytalk.presets import PROFILES
from mytalk.speech.feed import SpeechFeed
from mytalk.studio.cast import Cast

if TYPE_CHECKING:
    from pathlib import Path

    from mytalk.pipeline import Pipeline

MOST_LATE_MS = 120.0
"""Milliseconds between sound and mouth up to which a face may be the one that speaks."""

_REACH = 0.5  # of a face's width, by which a point may lie outside of its box
_MOST_RIVALS = 6  # people, best first, among whom the speakers found by sound are cast
_UNLIKE = 0.45  # descriptor distance from which a picture of a person is said to resemble nobody


class SpooledFaces(Sequence[dict[int, Face] | None]):
    """Keeps the faces of every picture in a temporary file, so that memory does not grow with the film.

    ``casting`` says which speaker each person is; without it, faces are by person. Read in order.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - deleted when it is dropped
        self._places: list[int] = []
        self.casting: dict[int, int] = {}  # speakers by person

    def append(self, faces: Sequence[Face]) -> None:
        """Adds the faces of one more picture."""
        self._file.seek(0, 2)
        self._places.append(self._file.tell())
        pickle.dump([(face.person, face.points) for face in faces], self._file, pickle.HIGHEST_PROTOCOL)

    def close(self) -> None:
        """Drops the file."""
        self._file.close()

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> dict[int, Face] | None: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[dict[int, Face] | None]: ...
    def __getitem__(self, index: int | slice) -> Any:
        """Returns the faces of one picture by speaker; None where nobody of the cast is seen."""
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        self._file.seek(self._places[index])
        seen = pickle.load(self._file)
        faces = {self.casting[person]: Face(points, person) for person, points in seen if person in self.casting}
        return faces or None


@dataclass(frozen=True, slots=True)
class Watched:
    """Holds what was seen of a film."""

    faces: SpooledFaces
    corrections: list[dict[int, Correction]]  # of each speaker, by person
    warnings: list[str]
    message: str  # who has which face, for the report


@dataclass(slots=True)
class _Sums:
    """Counts what speaks for each pair of a speaker and a person."""

    seen: Counter[tuple[int, int]] = field(default_factory=Counter)  # pictures in the speaker's segments
    covered: Counter[tuple[int, int]] = field(default_factory=Counter)  # pictures in which the face covers the point
    sound: dict[tuple[int, int], OwnSpeech] = field(default_factory=dict)


def watch(pipeline: Pipeline, film: ClipSource, cast: Cast, profile: str) -> Watched:
    """Tracks everybody in a film and finds each speaker's face; close its ``faces`` after use.

    Raises NoFaceError where a speaker has none, and OptionError where two have the same.
    """
    feed = _feed(pipeline, film, profile)
    if feed is None and any(speaker.face is None for speaker in cast.speakers):
        need = "give each speaker a point or a picture"
        raise NoSpeechError(f"{film.name}: has no sound by which a face could be found ({need})")
    faces = SpooledFaces()
    try:
        return _watch(pipeline, film, cast, profile, feed, faces)
    except BaseException:
        faces.close()
        raise


def _watch(
    pipeline: Pipeline, film: ClipSource, cast: Cast, profile: str, feed: SpeechFeed | None, faces: SpooledFaces
) -> Watched:
    window = PROFILES[profile]
    people, poses, sums = PeopleTracker(), dict[int, PoseFilter](), _Sums()
    ahead = (window.hop + window.lookahead + 1) * FRAME_SAMPLES
    for frame in film.frames():
        found = people(frame.picture)
        faces.append(found)
        size = frame.picture.width, frame.picture.height
        shapes = {face.person: _lower(face, poses, frame.at) for face in found}
        speaking = _speaking(cast, Fraction(frame.at, SAMPLE_RATE))
        _count(cast, sums, found, speaking, size)
        if feed is None:
            continue
        for pair in itertools.product(range(len(cast.speakers)), people.descriptors):
            own = sums.sound.setdefault(pair, OwnSpeech(pipeline.motion.space, window))
            own.see(frame.at, shapes.get(pair[1]) if pair[0] in speaking else None, pair[1])
        rows = [row for part in feed.encode_until(frame.at + ahead) for row in heard_frames(part.estimates, window)]
        for own in sums.sound.values():
            own.take(rows)
            own.advance(frame.at // FRAME_SAMPLES)
    learned = _learned(sums)
    casting, warnings = _cast_faces(cast, sums, learned, people.descriptors)
    faces.casting = {person: speaker for speaker, person in casting.items()}
    corrections: list[dict[int, Correction]] = []
    for number in range(len(cast.speakers)):
        one = learned.get((number, casting[number]))
        corrections.append({} if one is None or one.correction is None else {casting[number]: one.correction})
    return Watched(faces, corrections, warnings, _message(cast, casting, learned, sums))


def _feed(pipeline: Pipeline, film: ClipSource, profile: str) -> SpeechFeed | None:
    try:
        sound = SpeechReader(film.reader.path).beside_picture()
    except NoSpeechError:
        return None
    return SpeechFeed(speech_stream(pipeline.motion, profile).push, sound)


def _lower(face: Face, poses: dict[int, PoseFilter], at: int) -> np.ndarray[Any, np.dtype[np.float32]] | None:
    pose = fit_pose(face)
    if abs(pose.yaw) > MAX_YAW:
        return None
    steady = poses.setdefault(face.person, PoseFilter())(pose, at)
    return steady.to_canonical(face.points)[list(LOWER_FACE)]


def _speaking(cast: Cast, at: Fraction) -> set[int]:
    """Returns the numbers of those who speak at a time."""
    names = {segment.speaker for segment in cast.segments if segment.start <= at < segment.end}
    return {number for number, speaker in enumerate(cast.speakers) if speaker.name in names}


def _count(cast: Cast, sums: _Sums, found: Sequence[Face], speaking: set[int], size: tuple[int, int]) -> None:
    for number, face in itertools.product(speaking, found):
        sums.seen[number, face.person] += 1
        point = cast.speakers[number].face
        if isinstance(point, tuple):
            x0, y0, x1, y1 = face.box
            reach = _REACH * face.width
            x, y = point[0] * size[0], point[1] * size[1]
            sums.covered[number, face.person] += x0 - reach <= x <= x1 + reach and y0 - reach <= y <= y1 + reach


def _learned(sums: _Sums) -> dict[tuple[int, int], Learned]:
    learned = {}
    for pair, own in sums.sound.items():
        own.finish()
        one = own.learned().get(pair[1])
        if one is not None:
            learned[pair] = one
    return learned


def agreement_of(one: Learned | None) -> float:
    """Scores how well a face moves with the sound: the correlation where the lag is small, times the root of the
    seconds; 0 where nothing could be compared."""
    if one is None or one.offset is None or abs(one.offset.ms) > MOST_LATE_MS:
        return 0.0
    return float(max(0.0, one.offset.correlation) * one.offset.seconds**0.5)


def _cast_faces(
    cast: Cast, sums: _Sums, learned: dict[tuple[int, int], Learned], people: dict[int, Descriptor]
) -> tuple[dict[int, int], list[str]]:
    """Gives each speaker a person: by point and picture first, the others by the best sum of agreements."""
    casting: dict[int, int] = {}
    warnings: list[str] = []
    for number, speaker in enumerate(cast.speakers):
        if isinstance(speaker.face, tuple):
            votes = {person: count for (one, person), count in sums.covered.items() if one == number and count}
            if not votes:
                raise NoFaceError(f"{cast.path}: no face at {speaker.face} in the segments of {speaker.name}")
            casting[number] = max(votes, key=lambda person: votes[person])
        elif speaker.face is not None:
            casting[number], distance = _resembling(speaker.face, people)
            if distance > _UNLIKE:
                warnings.append(f"{speaker.face}: resembles nobody in the film well (distance {distance:.2f})")
    _check_different(cast, casting)
    by_sound = [number for number in range(len(cast.speakers)) if number not in casting]
    free = sorted(set(people) - set(casting.values()), key=lambda person: -_most(sums, learned, by_sound, person))
    if len(free) < len(by_sound):
        names = ", ".join(cast.speakers[number].name for number in by_sound)
        raise NoFaceError(f"{cast.path}: {len(free)} faces of the film are left for {names} (need one for each)")
    orders = itertools.permutations(free[: max(len(by_sound), _MOST_RIVALS)], len(by_sound))
    casting.update(
        zip(by_sound, max(orders, key=lambda order: _score(sums, learned, by_sound, list(order))), strict=True)
    )
    for number, speaker in enumerate(cast.speakers):
        if not sums.seen[number, casting[number]]:
            warnings.append(f"{cast.path}: the face of {speaker.name} is not seen in any of the segments")
    return casting, warnings


def _score(
    sums: _Sums, learned: dict[tuple[int, int], Learned], speakers: Sequence[int], people: Sequence[int]
) -> tuple[float, int]:
    """Scores a casting: by the sum of its agreements, then by how long each face is seen while its speaker speaks."""
    pairs = list(zip(speakers, people, strict=True))
    return sum(agreement_of(learned.get(pair)) for pair in pairs), sum(sums.seen[pair] for pair in pairs)


def _most(sums: _Sums, learned: dict[tuple[int, int], Learned], speakers: Sequence[int], person: int) -> float:
    """Returns a person's best agreement with any of the speakers, and next to nothing for being seen beside them."""
    agreed = max((agreement_of(learned.get((number, person))) for number in speakers), default=0.0)
    return agreed + 1e-9 * sum(sums.seen[number, person] for number in speakers)


def _resembling(path: Path, people: dict[int, Descriptor]) -> tuple[int, float]:
    source = open_face(path)
    if not isinstance(source, StillSource):
        raise OptionError(f"{path}: a film is no picture of a face (need an image)")
    faces = FaceTracker().faces(source.picture)
    if not faces:
        raise NoFaceError(f"{path}: no face found in it")
    if not people:
        raise NoFaceError(f"{path}: there is no face in the film that could resemble it")
    seen = describe_face(source.picture, fit_pose(faces[0]))
    distances = {person: descriptor_distance(seen, one) for person, one in people.items()}
    nearest = min(distances, key=lambda person: distances[person])
    return nearest, distances[nearest]


def _check_different(cast: Cast, casting: dict[int, int]) -> None:
    for one, other in itertools.combinations(casting, 2):
        if casting[one] == casting[other]:
            names = cast.speakers[one].name, cast.speakers[other].name
            raise OptionError(f"{cast.path}: {names[0]} and {names[1]} have the same face (give another point)")


def _message(cast: Cast, casting: dict[int, int], learned: dict[tuple[int, int], Learned], sums: _Sums) -> str:
    """Says how each speaker's face was found, and how well it moves with the film's sound."""
    parts = []
    for number, speaker in enumerate(cast.speakers):
        how = "by sound" if speaker.face is None else "by point" if isinstance(speaker.face, tuple) else "by picture"
        person = casting[number]
        agreed = agreement_of(learned.get((number, person)))
        rival = max((agreement_of(learned.get((number, p))) for _, p in sums.seen if p != person), default=0.0)
        parts.append(f"{speaker.name} is face {person} {how} (agreement {agreed:.2f}, next best {rival:.2f})")
    return "; ".join(parts)
