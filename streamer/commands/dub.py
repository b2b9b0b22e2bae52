"""``mytalk dub``: a video or an image, and a speech, become a film of that face speaking."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mytalk.errors import OptionError
from streamer.commands.background import begin
from streamer.commands.control_options import add_control_options, given_controls
from streamer.commands.film_options import FilmOptions, add_film_options, film_options
from streamer.commands.progress_bar import Progress
from streamer.commands.weights_options import add_weights_options
from streamer.cpu import leave_some_to_others

if TYPE_CHECKING:  # what reads films and runs models is imported while the models are loaded
    from mytalk.dub import DubReport, Length
    from mytalk.media import FaceSource
    from mytalk.media.span import Span
    from mytalk.pipeline import Pipeline


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its options."""
    parser = subparsers.add_parser("dub", description=__doc__)
    parser.add_argument("source", type=Path, metavar="VIDEO_OR_IMAGE", help="any file with a face that PyAV can read")
    parser.add_argument("speech", type=Path, metavar="SPEECH", help="any file with sound; a film's sound will do")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT.mp4", help="the film: .mp4, .m4v, .mov, .mkv or .webm"
    )
    parser.add_argument(
        "--length",
        choices=("video", "speech", "shortest"),
        help="how long the film is (default: the speech's length for an image, the video's for a video); a video that "
        "must go on plays forward and backward, a speech that ends early leaves the mouth at rest",
    )
    parser.add_argument(
        "--only",
        type=span,
        action="append",
        default=[],
        metavar="START-END",
        help="dub this part of the film alone, in seconds or as [H:]M:S; the other pictures stay as they are, the "
        "sound is SPEECH throughout; may be given several times, and END may be left out",
    )
    parser.add_argument(
        "--own-speech",
        choices=("on", "off"),
        default="on",
        help="adapt the mouth to how the person speaks in the video's own sound, where sound and mouth belong together "
        "for 3 s (default: %(default)s)",
    )
    parser.add_argument(
        "--style", type=Path, metavar="CLIP", help="adapt the mouth to this other clip of the person speaking instead"
    )
    parser.add_argument(
        "--background",
        default="own",
        metavar="WHICH",
        help="what an image's person is seen before: own, what the image shows; green; transparent, in .webm; or the "
        "file of another image (default: %(default)s)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace the output if it is there; a link stays, what it leads to is replaced",
    )
    add_film_options(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of every command that makes a film."""
    add_weights_options(parser)
    add_control_options(parser)
    parser.add_argument("--still", action="store_true", help="an image moves its mouth alone: no blinks, no sway")


def run(args: argparse.Namespace) -> int:
    """Makes the film and prints its figures; raises ``MyTalkError``."""
    make_film(
        args,
        args.source,
        args.speech,
        args.output,
        length=args.length,
        force=args.force,
        only=args.only,
        own_speech=args.own_speech == "on",
        style=args.style,
        background=args.background,
        film=film_options(args),
    )
    return 0


def span(text: str) -> Span:
    """Reads ``START-END`` or ``START-``: seconds, or ``[H:]M:S``. Raises ``argparse.ArgumentTypeError``."""
    from mytalk.media.span import Span

    start, dash, end = text.partition("-")
    try:
        if not dash:
            raise ValueError("no end")
        return Span(_seconds(start), _seconds(end) if end else None)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} (need START-END in seconds, as 12.5-20, or as 1:02-1:10)"
        ) from error
    except OptionError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds(text: str) -> Fraction:
    """Reads seconds, or ``[H:]M:S``. Raises ValueError."""
    seconds = Fraction(0)
    for part in text.split(":"):
        seconds = seconds * 60 + Fraction(Decimal(part))
    return seconds


def make_film(
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
    background: str = "own",
    film: FilmOptions | None = None,
) -> None:
    """Makes the film. Options and files are checked while the models are loaded; raises ``MyTalkError``."""
    loading = begin(partial(_load, args), "load")
    from mytalk.dub import check_length, dub
    from mytalk.media import SpeechReader, open_face
    from mytalk.media.encoding import Encoding, plan_video
    from mytalk.media.face_source import ClipSource
    from mytalk.media.kept import Sound
    from mytalk.media.writer import FORMATS, check_output
    from mytalk.stream_options import StreamOptions

    options = StreamOptions(**given_controls(args), profile="offline", alive=not args.still)
    source, sound = open_face(picture, stored=True), SpeechReader(speech)
    manner = None if style is None else open_face(style)
    if manner is not None and not isinstance(manner, ClipSource):
        raise OptionError(f"{style}: an image does not speak (--style needs a film of the person speaking)")
    length = check_length(source, length)
    if args.still and not source.still:
        raise OptionError(f"{source.name}: a video moves by itself (--still is for an image)")
    _check_spans(source, only)
    check_output(output, force=force, transparent=background == "transparent")
    source = _before(source, background)
    kind = FORMATS[output.suffix.lower()]
    written = film or FilmOptions(Encoding(), Sound(), None)
    plan_video(source.info, kind, written.encoding, source.name, transparent=source.transparent)
    print(f"loading {args.preset}", file=sys.stderr, flush=True)
    pipeline = loading.result()
    with Progress("dubbing", "frame") as progress:
        report = dub(
            pipeline,
            source,
            sound,
            output,
            options,
            length=length,
            force=force,
            progress=progress,
            only=only,
            own_speech=own_speech,
            style=manner,
            encoding=written.encoding,
            sound=written.sound,
            sound_codec=written.sound_codec,
        )
    for warning in report.warnings:
        print(f"mytalk: warning: {warning}", file=sys.stderr)
    print(_summary(report), flush=True)


def _load(args: argparse.Namespace) -> Pipeline:
    leave_some_to_others()
    from mytalk.pipeline import load

    return load(args.preset, device=args.device, speech_model=args.speech_model, dtype=args.dtype)


def _before(source: FaceSource, background: str) -> FaceSource:
    """Returns the source before what ``--background`` names. Raises OptionError, and UnreadableError for a file."""
    from mytalk.appearance.backdrop import Background, source_on_background
    from mytalk.media.face_source import StillSource, open_face

    plain: Background
    for plain in ("own", "green", "transparent"):
        if background == plain:
            return source_on_background(source, plain)
    image = open_face(Path(background))
    if not isinstance(image, StillSource):
        raise OptionError(f"{background}: a film cannot be the background (need own, green, transparent or an image)")
    return source_on_background(source, "image", image.picture.rgb())


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


def _summary(report: DubReport) -> str:
    stages = ", ".join(f"{name} {ms:.1f}" for name, ms in report.stage_ms.items())
    untouched = f", {report.passthrough} of them untouched (no face, or not asked for)" if report.passthrough else ""
    return "\n".join(
        [
            f"{report.path}: {report.seconds:.2f} s, {report.frames} frames{untouched}",
            f"real-time factor {report.real_time_factor:.2f} ({report.took:.1f} s of work; ms a frame: {stages})",
            f"preset {report.preset} on {report.device}, {report.steps} step{'s' if report.steps > 1 else ''}",
            *([] if report.own_speech is None else [f"own speech: {report.own_speech}"]),
        ]
    )
