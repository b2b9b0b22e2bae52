"""``mytalk train voice``: fits a preset's readout to tell a voice from noise, and where lips close."""

from __future__ import annotations

import argparse
from pathlib import Path

from streamer.commands.progress_bar import Progress


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "voice",
        help="have a preset's readout tell a voice from noise, and where lips close",
        description="Fits linear maps from a speech recogniser's features to whether somebody speaks and where p, b "
        "and m are, in closed form, and writes them beside a preset's readout: some minutes for an hour of synthetic "
        "speech.",
    )
    parser.add_argument("preset", type=Path, metavar="FOLDER", help="which mytalk train readout has given a readout")
    parser.add_argument(
        "--tts",
        type=Path,
        action="append",
        required=True,
        metavar="FOLDER",
        help="synthetic speech of mytalk.training.voices.corpus; may be given again",
    )
    parser.add_argument(
        "--held-out",
        nargs="+",
        default=[],
        metavar="VOICE",
        help="voices that it is not fitted to; says how much of their speech and silence is told right",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fits and writes; raises ``MyTalkError``."""
    from mytalk.training.speech.voice_readout import add_voice

    with Progress("listening", "voice") as progress:
        right = add_voice(args.preset, args.tts, args.held_out, progress)
    if right is not None:
        print(
            f"voices held out: {right[0]:.1%} of their speech not taken for silence, {right[1]:.1%} of their silence is"
        )
    return 0
