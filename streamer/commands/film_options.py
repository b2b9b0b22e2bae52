"""Defines the options of how a dubbed film is coded and what of the given film it keeps."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mytalk.errors import OptionError

if TYPE_CHECKING:  # what opens films is slow to import
    from mytalk.media import SpeechReader
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
    ambience: float | None = None  # dB by which the film's own sound is heard below the speech's place
    loudness: float | None = None  # LUFS

    def dressed(self, speech: SpeechReader, film: Path, length: str | None) -> SpeechReader:
        """Returns the speech as the film is to sound; raises OptionError for a level out of range."""
        if self.ambience is None and self.loudness is None:
            return speech
        from mytalk.media import SpeechReader
        from mytalk.studio.dressed_speech import DressedSpeech

        if self.ambience is not None and length == "speech":
            raise OptionError("--ambience is as long as the film (--length speech may be longer)")
        own = None if self.ambience is None else SpeechReader(film)
        return DressedSpeech(speech, own, self.ambience or 0.0, self.loudness)


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
    films.add_argument(
        "--ambience",
        type=float,
        metavar="DB",
        help="mix the film's own sound under SPEECH, -60 to 0 dB of its level",
    )
    films.add_argument(
        "--loudness", type=float, metavar="LUFS", help="bring the sound to this loudness (EBU R 128; broadcast: -23)"
    )


def film_options(args: argparse.Namespace) -> FilmOptions:
    """Reads the options; raises OptionError where they contradict each other."""
    from mytalk.media.encoding import Encoding
    from mytalk.media.kept import Sound

    if args.add_track and args.track is not None:
        raise OptionError("--add-track replaces no track, and --track names one (give one of them)")
    if args.language is not None and not re.fullmatch("[a-z]{3}", args.language):
        raise OptionError(f"--language {args.language}: need three small letters (ISO 639-2), as deu")
    sound = Sound("add" if args.add_track else "replace", args.track, args.language)
    encoding = Encoding(args.codec, args.quality, args.alpha)
    return FilmOptions(encoding, sound, args.sound_codec, args.ambience, args.loudness)
