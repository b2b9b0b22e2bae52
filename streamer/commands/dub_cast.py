"""``mytalk dub VIDEO --cast CAST.json``: several people of a film speak, each with a voice of their own."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mytalk.errors import OptionError
from streamer.commands.control_options import given_controls
from streamer.commands.film_options import film_options
from streamer.commands.signing_options import manifest_of, signed, signer_of

if TYPE_CHECKING:  # what reads films and runs models is imported while the models are loaded
    from mytalk.dub import DubReport, FilmTarget
    from mytalk.media import SpeechReader
    from mytalk.media.face_source import ClipSource
    from mytalk.pipeline import Pipeline
    from mytalk.stream_options import StreamOptions
    from mytalk.studio.cast import Cast
    from streamer.trust.manifest import MadeFilm, ManifestSigner


@dataclass(frozen=True, slots=True)
class CastJob:
    """Holds a film and its cast, checked."""

    args: argparse.Namespace
    source: ClipSource
    cast: Cast
    speech: SpeechReader
    target: FilmTarget
    options: StreamOptions
    made: MadeFilm
    signer: ManifestSigner | None

    def make(self, pipeline: Pipeline, progress: Callable[[int, int | None], None]) -> DubReport:
        """Makes the film; raises ``MyTalkError``."""
        from mytalk.studio.cast_dub import dub_cast

        report = dub_cast(
            pipeline,
            self.source,
            self.cast,
            self.speech,
            self.target,
            self.options,
            progress=progress,
            only=self.args.only,
            own_speech=self.args.own_speech == "on",
        )
        return signed(report, self.made, self.signer)


def check_cast_film(args: argparse.Namespace, picture: Path, cast_file: Path, output: Path) -> CastJob:
    """Opens a film and its cast and checks both, before any model runs. Raises ``MyTalkError``."""
    from mytalk.dub import FilmTarget
    from mytalk.media import open_face
    from mytalk.media.encoding import plan_video
    from mytalk.media.writer import FORMATS, check_output
    from mytalk.stream_options import StreamOptions
    from mytalk.studio.cast import read_cast
    from mytalk.studio.cast_dub import check_cast
    from mytalk.studio.cast_speech import CastSpeech
    from streamer.trust.film_payload import film_payload

    for name, given, means in (
        ("--style", args.style is not None, "adapts one mouth"),
        ("--still", args.still, "is for an image"),
        ("--background", args.background != "own", "is for an image"),
        ("--face", getattr(args, "control_face", None) is not None, "names one face; a cast names each speaker's"),
    ):
        if given:
            raise OptionError(f"{name} {means} (leave it out beside --cast)")
    options = StreamOptions(**given_controls(args), profile="offline")
    cast = read_cast(cast_file)
    source = check_cast(open_face(picture, stored=True), cast, args.length)
    speech = CastSpeech(cast)
    film = film_options(args)
    check_output(output, force=args.force)
    plan_video(source.info, FORMATS[output.suffix.lower()], film.encoding, source.name)
    voices = [cast.mix, *(one.voice for one in cast.speakers), *(one.voice for one in cast.segments)]
    sounds = dict.fromkeys(voice for voice in voices if voice is not None)
    if args.watermark:
        payload = film_payload([picture, *sounds], args.preset, options.seed)
        options = replace(options, watermark=payload)
    target = FilmTarget(output, args.force, film.encoding, film.sound, film.sound_codec)
    made, signer = manifest_of(args, options, picture, list(sounds), args.only), signer_of(args)
    sound = film.dressed(speech, picture, args.length)
    return CastJob(args, source, cast, sound, target, options, made, signer)
