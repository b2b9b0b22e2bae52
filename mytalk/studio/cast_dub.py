"""Dubs a film in which several people speak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mytalk.dub import DubReport, FilmTarget, Prepared, write_film
from mytalk.errors import OptionError
from mytalk.film_threads import Length, Progress
from mytalk.media import FaceSource, SpeechReader
from mytalk.media.face_source import ClipSource
from mytalk.media.span import Span
from mytalk.pipeline import Pipeline
from mytalk.stream_options import StreamOptions
from mytalk.studio.cast import Cast
from mytalk.studio.cast_stream import CastStream
from mytalk.studio.watch import Watched, watch

MOST_SPEAKERS = 8
"""Speakers of one film: each has a stream of their own, and people found by sound are cast by trying all orders."""


def check_cast(face: FaceSource, cast: Cast, length: Length | None) -> ClipSource:
    """Returns the film of a cast. Raises OptionError for an image, too many speakers, or another length."""
    if not isinstance(face, ClipSource):
        raise OptionError(f"{face.name}: an image has no cast (need a film)")
    if len(cast.speakers) > MOST_SPEAKERS:
        raise OptionError(f"{cast.path}: has {len(cast.speakers)} speakers (at most {MOST_SPEAKERS})")
    if length not in (None, "video"):
        raise OptionError(f"{cast.path}: its times are those of the film (--length {length} has another)")
    if face.info.frames is not None:
        end = face.info.frames / face.info.rate
        late = next((segment for segment in cast.segments if segment.start >= end), None)
        if late is not None:
            times = f"begins at {float(late.start):g} s, and the film ends at {float(end):.2f} s"
            raise OptionError(f"{cast.path}: {late.speaker} {times}")
    return face


def dub_cast(
    pipeline: Pipeline,
    face: ClipSource,
    cast: Cast,
    speech: SpeechReader,
    film: FilmTarget,
    options: StreamOptions,
    *,
    progress: Progress | None = None,
    only: Sequence[Span] = (),
    own_speech: bool = True,
) -> DubReport:
    """Writes a film in which each of the cast speaks with their own face, at once where their segments overlap.

    ``speech``: the cast's `CastSpeech`. The film is looked through first: everybody is followed over cuts, and faces
    are found where the cast does not name them. A face whose speaker is silent rests. ``own_speech``: each mouth is
    adapted to how that person spoke in the film. Raises a ``MyTalkError``; nothing is left of an unfinished film.
    """
    streams = [pipeline.stream(replace(options, face="largest")) for _ in cast.speakers]
    watched: list[Watched] = []

    def prepare() -> Prepared:
        seen = watch(pipeline, face, cast, options.profile)
        watched.append(seen)
        if own_speech:
            for stream, corrections in zip(streams, seen.corrections, strict=True):
                stream.adapt(corrections)
        return Prepared(seen.faces, seen.message)

    try:
        report = write_film(
            pipeline, CastStream(streams), face, speech, film, options, prepare, "video", progress, only
        )
    finally:
        for seen in watched:
            seen.faces.close()
    return replace(report, warnings=[*report.warnings, *watched[0].warnings])
