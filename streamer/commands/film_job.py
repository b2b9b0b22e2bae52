"""Checks one film to be dubbed, and dubs it: for one film, and in each process that dubs many."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mytalk.errors import OptionError
from streamer.commands.control_options import given_controls
from streamer.commands.film_options import FilmOptions, film_options
from streamer.commands.signing_options import manifest_of, signed, signer_of

if TYPE_CHECKING:  # what reads films and runs models is imported while the models are loaded
    from mytalk.dub import DubReport
    from mytalk.film_threads import Length
    from mytalk.media import FaceSource, SpeechReader
    from mytalk.media.face_source import ClipSource
    from mytalk.media.span import Span
    from mytalk.pipeline import Pipeline
    from mytalk.stream_options import StreamOptions
    from streamer.trust.manifest import MadeFilm, ManifestSigner


@dataclass(frozen=True, slots=True)
class FilmJob:
    """Holds a film whose files and options were checked."""

    source: FaceSource
    speech: SpeechReader
    output: Path
    options: StreamOptions
    length: Length
    force: bool
    only: Sequence[Span]
    own_speech: bool
    style: ClipSource | None
    film: FilmOptions
    made: MadeFilm
    signer: ManifestSigner | None

    def make(self, pipeline: Pipeline, progress: Callable[[int, int | None], None]) -> DubReport:
        """Makes the film; raises ``MyTalkError``."""
        from mytalk.dub import dub

        report = dub(
            pipeline,
            self.source,
            self.speech,
            self.output,
            self.options,
            length=self.length,
            force=self.force,
            progress=progress,
            only=self.only,
            own_speech=self.own_speech,
            style=self.style,
            encoding=self.film.encoding,
            sound=self.film.sound,
            sound_codec=self.film.sound_codec,
        )
        return signed(report, self.made, self.signer)


def check_film(
    args: argparse.Namespace,
    picture: Path,
    speech: Path,
    output: Path,
    *,
    length: Length | None,
    force: bool,
    only: Sequence[Span] = (),
    own_speech: bool = False,
    style: Path | None = None,
    references: Sequence[Path] = (),
    background: str = "own",
    film: FilmOptions | None = None,
) -> FilmJob:
    """Opens a film's files and checks its options, before any model runs. Raises ``MyTalkError``."""
    from mytalk.appearance.backdrop import source_before
    from mytalk.dub import check_length
    from mytalk.media import SpeechReader, open_face
    from mytalk.media.encoding import Encoding, plan_video
    from mytalk.media.face_source import ClipSource
    from mytalk.media.kept import Sound
    from mytalk.media.writer import FORMATS, check_output
    from mytalk.references import read_references
    from mytalk.stream_options import StreamOptions
    from streamer.trust.film_payload import film_payload

    look = read_references(references) if references else ()
    options = StreamOptions(**given_controls(args), profile="offline", alive=not args.still, references=look)
    source, sound = open_face(picture, stored=True), SpeechReader(speech)
    manner = None if style is None else open_face(style)
    if manner is not None and not isinstance(manner, ClipSource):
        raise OptionError(f"{style}: an image does not speak (--style needs a film of the person speaking)")
    length = check_length(source, length)
    if args.still and not source.still:
        raise OptionError(f"{source.name}: a video moves by itself (--still is for an image)")
    _check_spans(source, only)
    check_output(output, force=force, transparent=background == "transparent")
    source = source_before(source, background)
    kind = FORMATS[output.suffix.lower()]
    written = film or FilmOptions(Encoding(), Sound(), None)
    plan_video(source.info, kind, written.encoding, source.name, transparent=source.transparent)
    if args.watermark:
        options = replace(options, watermark=film_payload([picture, speech], args.preset, options.seed))
    sound = written.dressed(sound, picture, length)
    made, signer = manifest_of(args, options, picture, [speech], only), signer_of(args)
    return FilmJob(source, sound, output, options, length, force, only, own_speech, manner, written, made, signer)


def check_asked_film(args: argparse.Namespace, picture: Path, speech: Path, output: Path, *, force: bool) -> FilmJob:
    """Opens a film's files and checks it, as the options of ``mytalk dub`` ask for it. Raises ``MyTalkError``."""
    return check_film(
        args,
        picture,
        speech,
        output,
        length=args.length,
        force=force,
        only=args.only,
        own_speech=args.own_speech == "on",
        style=args.style,
        references=args.reference,
        background=args.background,
        film=film_options(args),
    )


def _check_spans(source: FaceSource, only: Sequence[Span]) -> None:
    """Raises OptionError for a part that begins after the film has ended, as far as its header tells."""
    if source.info.frames is None:
        return
    end = source.info.frames / source.info.rate
    for part in only:
        if part.start >= end:
            raise OptionError(
                f"{source.name}: --only begins at {float(part.start):g} s, and the film ends at {float(end):.2f} s"
            )
