"""Dubs a file: adapts the mouth to the person, and writes the film with all that it holds beside."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mytalk
from mytalk.errors import OptionError
from mytalk.film_threads import FilmStream, FilmThreads, Length, Progress
from mytalk.media import FaceSource, FilmWriter, SpeechReader
from mytalk.media.face_source import ClipSource
from mytalk.media.kept import KeptTracks, Sound
from mytalk.media.span import Span

if TYPE_CHECKING:  # what runs models is slow to import, and files are checked before
    from mytalk.media.encoding import Encoding
    from mytalk.media.sound_format import SoundCodec
    from mytalk.pipeline import Pipeline
    from mytalk.stream_options import StreamOptions


@dataclass(frozen=True, slots=True)
class DubReport:
    """Says what was made, how long it took, and what ran."""

    path: Path
    frames: int
    passthrough: int  # frames left as they were: no usable face
    seconds: float  # of film
    took: float  # seconds of work, loading of models not included
    stage_ms: dict[str, float]  # milliseconds a frame; stages of different threads overlap
    preset: str
    device: str
    steps: int
    own_speech: str | None  # what the mouth was adapted to, or why not; None where that was not asked for
    warnings: list[str]

    @property
    def real_time_factor(self) -> float:
        """Returns seconds of work for a second of film."""
        return self.took / self.seconds


@dataclass(frozen=True, slots=True)
class FilmTarget:
    """Says where a film is written, and how."""

    output: Path
    force: bool = False
    encoding: Encoding | None = None
    sound: Sound | None = None
    sound_codec: SoundCodec | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """Holds what is known of a film before it is made: the faces of its pictures in order, and what was learned."""

    faces: Sequence[Any] | None = None
    message: str | None = None


def check_length(face: FaceSource, length: Length | None) -> Length:
    """Returns the requested length; by default a video's own, and for an image the speech's. Raises OptionError."""
    if face.still and length == "video":
        raise OptionError(f"{face.name}: an image has no length of its own (need --length speech)")
    if face.still:
        return "speech"
    return length or "video"


def dub(
    pipeline: Pipeline,
    face: FaceSource,
    speech: SpeechReader,
    output: Path,
    options: StreamOptions,
    *,
    length: Length | None = None,
    force: bool = False,
    progress: Progress | None = None,
    only: Sequence[Span] = (),
    own_speech: bool = True,
    style: ClipSource | None = None,
    encoding: Encoding | None = None,
    sound: Sound | None = None,
    sound_codec: SoundCodec | None = None,
) -> DubReport:
    """Writes ``face`` speaking ``speech`` to ``output``.

    ``length``: ``video`` makes the film as long as the video, with silence and a mouth at rest where the speech is
    shorter; ``speech`` as long as the speech, the video going on ping-pong where it is shorter; ``shortest`` as long
    as the shorter of the two. Frames without a usable face come out as they went in, and so do those outside of
    ``only``, where it names spans of the film.

    A film's sound keeps its place beside that film's own pictures.

    The mouth is adapted to how the person spoke in ``style``, another film of them; without it, where ``own_speech``,
    to how they spoke in ``face`` itself.

    ``encoding`` says how the pictures are coded. A video's other tracks, chapters, attachments and tags are carried
    over; ``sound`` says which sound track gives its place to the speech.

    Raises a ``MyTalkError``; nothing is left of an unfinished film.
    """
    from mytalk.adaptation import adapt_stream

    length = check_length(face, length)
    stream = pipeline.stream(replace(options, still=face.still))

    def prepare() -> Prepared:
        adaptation = adapt_stream(pipeline, stream, face, options, style, own_speech=own_speech)
        faces = None if adaptation is None or style is not None else adaptation.faces
        return Prepared(faces, None if adaptation is None else adaptation.message)

    placed = speech if face.still else speech.beside_picture()
    film = FilmTarget(output, force, encoding, sound, sound_codec)
    return write_film(pipeline, stream, face, placed, film, options, prepare, length, progress, only)


def write_film(
    pipeline: Pipeline,
    stream: FilmStream,
    face: FaceSource,
    speech: SpeechReader,
    film: FilmTarget,
    options: StreamOptions,
    prepare: Callable[[], Prepared],
    length: Length,
    progress: Progress | None,
    only: Sequence[Span] = (),
) -> DubReport:
    """Writes what a stream makes of a film and a speech: `dub`, of any number of speakers.

    ``prepare`` looks at the film before, when the output is known to be writable.
    """
    steps = options.steps or pipeline.steps
    sound = film.sound or Sound()
    kept = KeptTracks(face.reader.path, face.info.first, sound) if isinstance(face, ClipSource) else None
    comment = _provenance(pipeline, options, steps)
    with (
        contextlib.closing(kept) if kept is not None else contextlib.nullcontext(),
        FilmWriter(
            film.output,
            face.info,
            speech,
            force=film.force,
            comment=comment,
            transparent=face.transparent,
            encoding=film.encoding,
            kept=kept,
            sound_codec=film.sound_codec,
        ) as writer,
    ):
        start = time.perf_counter()
        prepared = prepare()
        adapted = time.perf_counter()
        job = FilmThreads(stream, face, speech, writer, length, progress, only, prepared.faces)
        job.run()
        took = time.perf_counter() - start
    stats = stream.stats
    stages = {name.removesuffix("_ms"): total for name, total in stats.items() if name.endswith("_ms")}
    totals = {"adapt": (adapted - start) * 1e3, "decode": job.decode_ms, **stages, "encode": job.encode_ms}
    notes = [writer.sound.warning, job.cut_warning()]
    unkept = [*writer.plan.warnings, *(kept.warnings if kept is not None else [])]
    warnings = [*face.warnings, *speech.warnings, *unkept, *filter(None, notes)]
    return DubReport(
        path=film.output,
        frames=job.written,
        passthrough=int(stats.get("passthrough", 0)),
        seconds=float(job.film_seconds),
        took=took,
        stage_ms={name: total / max(1, job.written) for name, total in totals.items()},
        preset=pipeline.preset.name,
        device=str(pipeline.device),
        steps=steps,
        own_speech=prepared.message,
        warnings=warnings,
    )


def _provenance(pipeline: Pipeline, options: StreamOptions, steps: int) -> str:
    """Describes the file for its comment tag."""
    ran = f"preset {pipeline.preset.name}, seed {options.seed}, steps {steps}"
    return f"Synthetic: the mouth was made to speak this sound by MyTalk streamer {mytalk.__version__} ({ran})"
