"""``mytalk train readout``: adds the linear part of stage 1 to a preset folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from streamer.commands.progress_bar import Progress


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "readout",
        help="give a preset folder a linear readout of a speech recogniser",
        description="Fits a linear map from a speech recogniser's features to the mouths of the clips, in closed form, "
        "and writes it into a preset folder: some minutes for ten minutes of film.",
    )
    parser.add_argument("preset", type=Path, metavar="FOLDER", help="of mytalk train export")
    parser.add_argument(
        "--data", type=Path, action="append", required=True, help="folder of mytalk train prepare; may be given again"
    )
    parser.add_argument("--offsets", type=Path, metavar="TSV", help="of mytalk train offsets, which are taken away")
    parser.add_argument("--share", type=float, help="of the readout in motion, 0 to 1 (default: 0.85)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fits and writes; raises ``MyTalkError``."""
    from mytalk.training.graphs import write_graphs
    from mytalk.training.speech.readout import SHARE, add_readout

    with Progress("listening", "clip") as progress:
        share = SHARE if args.share is None else args.share
        fitted = add_readout(args.preset, args.data, args.offsets, share, progress)
    write_graphs(args.preset)
    print(
        f"{args.preset}: readout fitted to {fitted.people} people, {fitted.clips} clips, {fitted.minutes:.1f} minutes; "
        f"its share in motion is {share:g}"
    )
    return 0
