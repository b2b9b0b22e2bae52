"""``mytalk demo``: the embedded portrait speaks, into a file and then live in a browser."""

from __future__ import annotations

import argparse
from pathlib import Path

from streamer.commands.dub import add_model_options, make_film
from streamer.commands.film_job import check_film
from streamer.config.server_config import ServerConfig

DEFAULT_OUTPUT = Path("demo.mp4")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its options."""
    parser = subparsers.add_parser("demo", description=__doc__)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT.mp4",
        help=f"the film (default: {DEFAULT_OUTPUT}, replaced if it is there)",
    )
    parser.add_argument("--force", action="store_true", help="replace the output if it is there")
    parser.add_argument("--no-serve", action="store_true", help="stop after the file")
    parser.add_argument("--port", type=int, default=ServerConfig().port, help="port of the page (default: %(default)s)")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Makes the film, then serves the page until Ctrl-C; raises ``MyTalkError``."""
    config = ServerConfig(
        port=args.port,
        preset=args.preset,
        device=args.device,
        speech_model=args.speech_model,
        dtype=args.dtype,
        watermark=args.watermark,
    )
    output = args.output or DEFAULT_OUTPUT
    force = args.force or args.output is None
    face, voice = config.portrait_path, config.demo_speech_path
    make_film(args, lambda: check_film(args, face, voice, output, length="speech", force=force))
    if not args.no_serve:
        from streamer.http.server import serve

        serve(
            config,
            lambda url: print(f"Open {url} and press Start: the avatar speaks live (Ctrl-C to stop)", flush=True),
        )
    return 0
