"""Defines the options of how a dubbed film is coded and what of the given film it keeps."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mytalk.errors import OptionError

if TYPE_CHECKING:  # what opens films is slow to import
    from mytalk.media.encoding import Encoding
    from mytalk.media.kept import Sound

CODECS = ("h264", "hevc", "prores", "vp9", "av1", "ffv1", "copy-like-source")
SOUND_CODECS = ("aac", "opus", "flac", "pcm")


@dataclass(frozen=True, slots=True)
class FilmOptions:
    """Holds how a film is written, as `mytalk.dub.dub` takes it."""

    encoding: Encoding
    sound: Sound
    sound_codec: Any  # mytalk.media.sound_format.SoundCodec, or None


def add_film_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of pictures and sound tracks."""
    films = parser.add_argument_group("the film that is written")
    films.add_argument(
        "--codec",
        choices=CODECS,
        help="of the pictures (default: h264 as 8-bit 4:2:0; for deeper films and alpha, the first of hevc, prores, "
        "vp9 and ffv1 that carries them and fits OUT's ending); copy-like-source takes the film's own",
    )
    films.add_argument("--quality", type=int, metavar="0..100", help="one scale for all codecs (default: 75)")
    films.add_argument(
        "--alpha",
        choices=("keep", "drop"),
        default="keep",
        help="of a film that has transparency; a codec or an ending that cannot carry it is refused (default: keep)",
    )
    films.add_argument("--track", type=int, metavar="N", help="the film's sound track that SPEECH replaces, from 1")
    films.add_argument(
        "--add-track",
        action="store_true",
        help="put SPEECH beside the film's sound tracks, and replace none",
    )
    films.add_argument("--language", metavar="CODE", help="of SPEECH, as three letters (ISO 639-2): deu")
    films.add_argument("--sound-codec", choices=SOUND_CODECS, help="of SPEECH (default: aac; opus in .webm)")


def film_options(args: argparse.Namespace) -> FilmOptions:
    """Reads the options; raises OptionError where they contradict each other."""
    from mytalk.media.encoding import Encoding
    from mytalk.media.kept import Sound

    if args.add_track and args.track is not None:
        raise OptionError("--add-track replaces no track, and --track names one (give one of them)")
    if args.language is not None and not re.fullmatch("[a-z]{3}", args.language):
        raise OptionError(f"--language {args.language}: need three small letters (ISO 639-2), as deu")
    sound = Sound("add" if args.add_track else "replace", args.track, args.language)
    return FilmOptions(Encoding(args.codec, args.quality, args.alpha), sound, args.sound_codec)
