"""Makes several takes of one film: the same speech with other seeds, each in a file of its own."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

MOST_TAKES = 20


def add_takes_option(parser: argparse.ArgumentParser) -> None:
    """Adds ``--takes``."""
    parser.add_argument(
        "--takes",
        type=_count,
        default=1,
        metavar="N",
        help=f"write so many performances of the same speech, 1 to {MOST_TAKES}, each with the next seed, as "
        "OUT-1.mp4, OUT-2.mp4...: lips agree, head, eyes and brows of a portrait differ (default: %(default)s)",
    )


def takes_of(args: argparse.Namespace) -> Iterator[tuple[argparse.Namespace, Path]]:
    """Yields the options and the file of each take; of one alone, those that were given."""
    if args.takes == 1:
        yield args, args.output
        return
    first = args.control_seed or 0
    for number in range(args.takes):
        seeded = argparse.Namespace(**{**vars(args), "control_seed": first + number})
        yield seeded, args.output.with_stem(f"{args.output.stem}-{number + 1}")


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_TAKES:
        raise argparse.ArgumentTypeError(f"{text!r} (need 1 to {MOST_TAKES})")
    return int(text)
