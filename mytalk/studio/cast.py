"""Reads who speaks when in a film, with which voice, and whose face it is."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from mytalk.errors import InputError, OptionError

FaceChoice = tuple[float, float] | Path | None
"""A point (shares of width and height) that the face covers in its segments, a picture of the person, or None: found
by the film's own sound."""

_FACES = '"auto", a point of two shares from 0 to 1 as [0.3, 0.4], or a picture of the person'
_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+)[.,](\d+)")
_SPEAKER = re.compile(r"^(?:<v(?:\.[^ >]*)?\s+([^>]+)>|\[([^\]]+)\]|([^\s:.!?,][^:.!?,]{0,39}):\s)")


@dataclass(frozen=True, slots=True)
class Segment:
    """Holds when a speaker speaks, in seconds of the film, half open. ``voice``: a file that begins at its start."""

    start: Fraction
    end: Fraction
    speaker: str
    voice: Path | None = None


@dataclass(frozen=True, slots=True)
class Speaker:
    """Holds a person of the cast. ``voice``: a file as long as the film, of which the segments are heard."""

    name: str
    face: FaceChoice = None
    voice: Path | None = None


@dataclass(frozen=True, slots=True)
class Cast:
    """Holds all speakers of a film and their segments, in order of time. ``mix``: one sound of all of them."""

    speakers: Sequence[Speaker]
    segments: Sequence[Segment]
    mix: Path | None = None
    path: Path = field(default=Path("cast"), compare=False)

    def of(self, speaker: str) -> list[Segment]:
        """Returns one speaker's segments."""
        return [segment for segment in self.segments if segment.speaker == speaker]


def read_cast(path: Path) -> Cast:
    """Reads ``cast.json``; see STUDIO.md.

    Raises InputError for what cannot be read, and OptionError for speakers without a face, voice or segment, for
    overlapping segments of one speaker, and for segments of nobody.
    """
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from error
    folder = path.parent
    if not isinstance(given, dict) or not isinstance(given.get("speakers"), dict) or not given["speakers"]:
        raise InputError(
            f'{path}: names no speakers (need {{"speakers": {{"anna": {{"voice": "anna.wav", ...}}}}}}, ...)'
        )
    _no_others(path, "the cast", given, {"speakers", "segments", "mix"})
    mix = _file(folder, given["mix"]) if given.get("mix") is not None else None
    speakers = [_speaker(path, name, one) for name, one in given["speakers"].items()]
    segments = given.get("segments")
    if isinstance(segments, str):
        parts = read_segments(_file(folder, segments))
    elif isinstance(segments, list):
        parts = [_segment(path, number, one) for number, one in enumerate(segments, 1)]
    else:
        raise InputError(f"{path}: names no segments (need a list, or an .rttm, .srt or .vtt file)")
    cast = Cast(speakers, sorted(parts, key=lambda one: (one.start, one.speaker)), mix, path)
    _check(cast)
    return cast


def read_segments(path: Path) -> list[Segment]:
    """Reads RTTM, SubRip or WebVTT with speakers' names. Raises InputError."""
    readers: dict[str, Callable[[Path, str], list[Segment]]] = {".rttm": _rttm, ".srt": _cues, ".vtt": _cues}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: of a kind that is not read (need .rttm, .srt or .vtt)")
    try:
        return reader(path, path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from error


def _rttm(path: Path, text: str) -> list[Segment]:
    """Reads lines of NIST's Rich Transcription Time Marked format: SPEAKER file channel onset length x x name x."""
    segments = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0] != "SPEAKER":
            continue
        try:
            start, length, name = Fraction(fields[3]), Fraction(fields[4]), fields[7]
        except (IndexError, ValueError) as error:
            raise InputError(f"{path}: line {number} is no SPEAKER line of RTTM") from error
        segments.append(Segment(start, start + length, name))
    return segments


def _cues(path: Path, text: str) -> list[Segment]:
    """Reads cues whose text begins with a name: ``<v Anna>``, ``[Anna]`` or ``Anna:``."""
    segments = []
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        lines = block.strip().splitlines()
        index = next((number for number, line in enumerate(lines) if "-->" in line), None)
        if index is None:
            continue
        times = [_clock(path, part) for part in lines[index].split("-->")]
        words = " ".join(lines[index + 1 :]).strip()
        found = _SPEAKER.match(words)
        if found is None:
            raise InputError(
                f"{path}: {words[:40]!r} does not say who speaks (need <v Anna>, [Anna] or Anna: before it)"
            )
        segments.append(Segment(times[0], times[1], next(filter(None, found.groups())).strip()))
    return segments


def _clock(path: Path, text: str) -> Fraction:
    found = _CLOCK.search(text)
    if found is None:
        raise InputError(f"{path}: {text.strip()!r} is no time (need [H:]MM:SS.mmm)")
    hours, minutes, seconds, part = found.groups()
    return int(hours or 0) * 3600 + int(minutes) * 60 + Fraction(f"{seconds}.{part}")


def _speaker(path: Path, name: str, given: Any) -> Speaker:
    if not isinstance(given, dict):
        raise InputError(f'{path}: {name} is {given!r} (need {{"voice": "{name}.wav", "face": "auto"}})')
    _no_others(path, name, given, {"voice", "face"})
    voice = given.get("voice")
    return Speaker(name, _face(path, name, given), None if voice is None else _file(path.parent, voice))


def _face(path: Path, name: str, given: Mapping[str, Any]) -> FaceChoice:
    face = given.get("face")
    if face is None:
        raise OptionError(
            f'{path}: {name} has no face (need "auto", a point as [0.3, 0.4], or a picture of the person)'
        )
    if face == "auto":
        return None
    if isinstance(face, str):
        return _file(path.parent, face)
    if (
        isinstance(face, list)
        and len(face) == 2
        and all(isinstance(one, int | float) and 0 <= one <= 1 for one in face)
    ):
        return float(face[0]), float(face[1])
    raise OptionError(
        f'{path}: {name} has the face {face!r} (need "auto", two shares from 0 to 1, or a picture\'s name)'
    )


def _segment(path: Path, number: int, given: Any) -> Segment:
    try:
        _no_others(path, f"segment {number}", given, {"start", "end", "speaker", "voice"})
        start, end = (Fraction(str(given[key])) for key in ("start", "end"))
        speaker = str(given["speaker"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        need = '{"start": 1.5, "end": 3, "speaker": "anna"}'
        raise InputError(f"{path}: segment {number} is {given!r} (need {need})") from error
    voice = given.get("voice")
    return Segment(start, end, speaker, None if voice is None else _file(path.parent, voice))


def _file(folder: Path, name: Any) -> Path:
    path = folder / str(name)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    return path


def _no_others(path: Path, what: str, given: Mapping[str, Any], known: set[str]) -> None:
    others = sorted(set(given) - known)
    if others:
        raise InputError(
            f"{path}: {what} has {', '.join(others)}, which means nothing (known: {', '.join(sorted(known))})"
        )


def _check(cast: Cast) -> None:
    names = {speaker.name for speaker in cast.speakers}
    by_speaker: defaultdict[str, list[Segment]] = defaultdict(list)
    for segment in cast.segments:
        span = f"{float(segment.start):g}-{float(segment.end):g} s"
        if segment.speaker not in names:
            raise OptionError(f"{cast.path}: {segment.speaker}, who speaks at {span}, is not among the speakers")
        if segment.start < 0 or segment.end <= segment.start:
            raise OptionError(f"{cast.path}: {segment.speaker} speaks at {span} (need an end after the start)")
        before = by_speaker[segment.speaker]
        if before and segment.start < before[-1].end:
            other = f"{float(before[-1].start):g}-{float(before[-1].end):g} s"
            raise OptionError(f"{cast.path}: segments of {segment.speaker} overlap ({other} and {span})")
        before.append(segment)
    for speaker in cast.speakers:
        if not by_speaker[speaker.name]:
            raise OptionError(f"{cast.path}: {speaker.name} speaks in no segment")
        silent = next((one for one in by_speaker[speaker.name] if one.voice is None), None)
        if silent is not None and speaker.voice is None and cast.mix is None:
            raise OptionError(f'{cast.path}: {speaker.name} has no voice (need "voice", or "mix" for all)')
