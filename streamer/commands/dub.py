"""``mytalk dub``: a video or an image, and a speech, become a film of that face speaking."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mytalk.errors import OptionError
from streamer.commands.background import begin
from streamer.commands.control_options import add_control_options
from streamer.commands.dub_cast import CastJob, check_cast_film
from streamer.commands.dub_films import run_films
from streamer.commands.film_job import FilmJob, check_asked_film
from streamer.commands.film_options import add_film_options
from streamer.commands.progress_bar import Progress
from streamer.commands.signing_options import add_signing_options
from streamer.commands.takes import add_takes_option, takes_of
from streamer.commands.weights_options import add_watermark_option, add_weights_options, say_watermark
from streamer.cpu import leave_some_to_others

if TYPE_CHECKING:  # what reads films and runs models is imported while the models are loaded
    from mytalk.dub import DubReport
    from mytalk.media.span import Span
    from mytalk.pipeline import Pipeline


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its options."""
    parser = subparsers.add_parser("dub", description=__doc__)
    parser.add_argument(
        "source",
        type=Path,
        metavar="VIDEO_OR_IMAGE",
        help="any file with a face that PyAV can read; without SPEECH, many films: a MANIFEST.tsv with VIDEO, a tab, "
        "SPEECH and perhaps the output's name on each line, or a folder of films and speech of the same names",
    )
    parser.add_argument(
        "speech", type=Path, nargs="?", metavar="SPEECH", help="any file with sound; a film's sound will do"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT.mp4",
        help="the film: .mp4, .m4v, .mov, .mkv or .webm; of many films, their folder, in which finished ones are left",
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
        "--reference",
        type=Path,
        action="append",
        default=[],
        metavar="IMAGE_OR_CLIP",
        help="give the lips the look of the mouths in this picture, of the same person or another: lipstick, teeth; "
        "may be given up to 8 times",
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
    parser.add_argument(
        "--cast",
        type=Path,
        metavar="CAST.json",
        help="in place of SPEECH: several people of the film speak; who, when, with which voice and face (STUDIO.md)",
    )
    parser.add_argument("--jobs", type=int, metavar="N", help="of many films, how many at once (default: one a core)")
    add_takes_option(parser)
    add_film_options(parser)
    add_model_options(parser)
    parser.set_defaults(run=run)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of every command that makes a film."""
    add_weights_options(parser)
    add_watermark_option(parser)
    add_signing_options(parser)
    add_control_options(parser)
    parser.add_argument("--still", action="store_true", help="an image moves its mouth alone: no blinks, no sway")


def run(args: argparse.Namespace) -> int:
    """Makes the film, or many, and prints its figures; raises ``MyTalkError``."""
    if args.takes > 1 and (args.cast is not None or args.speech is None):
        raise OptionError("--takes is for one film and one speech (without --cast, a manifest or a folder)")
    if args.cast is not None:
        return _run_cast(args)
    if args.speech is None:
        return run_films(args)
    if args.jobs is not None:
        raise OptionError("--jobs is for many films (give a manifest, or a folder of pairs, and no SPEECH)")
    for take, output in takes_of(args):
        make_film(take, partial(check_asked_film, take, args.source, args.speech, output, force=args.force))
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


def _run_cast(args: argparse.Namespace) -> int:
    if args.speech is not None:
        raise OptionError("SPEECH and --cast: the cast names its voices (give one of them)")
    if args.jobs is not None:
        raise OptionError("--jobs is for many films")
    make_film(args, lambda: check_cast_film(args, args.source, args.cast, args.output))
    return 0


def make_film(args: argparse.Namespace, check: Callable[[], FilmJob | CastJob]) -> None:
    """Makes what ``check`` allows, with models loaded meanwhile, and prints its figures. Raises ``MyTalkError``."""
    loading = begin(partial(_load, args), "load")
    job = check()
    say_watermark(args)
    print(f"loading {args.preset}", file=sys.stderr, flush=True)
    pipeline = loading.result()
    with Progress("dubbing", "frame") as progress:
        report = job.make(pipeline, progress)
    for warning in report.warnings:
        print(f"mytalk: warning: {warning}", file=sys.stderr)
    print(_summary(report), flush=True)


def _load(args: argparse.Namespace) -> Pipeline:
    leave_some_to_others()
    from mytalk.pipeline import load

    return load(args.preset, device=args.device, speech_model=args.speech_model, dtype=args.dtype)


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
