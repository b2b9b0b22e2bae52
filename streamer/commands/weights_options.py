"""Defines the options that choose a command's weights, device and number format, and whether pictures are marked."""

from __future__ import annotations

import argparse
import sys


def add_weights_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--preset``, ``--device``, ``--dtype`` and ``--speech-model``, as ``mytalk.load`` takes them."""
    parser.add_argument("--preset", default="edge", help="preset or checkpoint folder (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    parser.add_argument(
        "--dtype",
        default="float32",
        choices=("float32", "bfloat16", "float16"),
        help="numbers that the models calculate with (default: %(default)s)",
    )
    parser.add_argument(
        "--speech-model",
        metavar="FOLDER_OR_NAME",
        help="wav2vec 2.0 of a preset that hears through it: a local folder, or a name on the hub "
        "(default: the one that the preset was trained with, by name)",
    )


def add_watermark_option(parser: argparse.ArgumentParser) -> None:
    """Adds ``--no-watermark``."""
    parser.add_argument(
        "--no-watermark",
        dest="watermark",
        action="store_false",
        help="leave pictures without the imperceptible watermark, which says that they are synthetic",
    )


def say_watermark(args: argparse.Namespace) -> None:
    """Says on standard error where a film gets no watermark."""
    if not args.watermark:
        print("what is made gets no watermark (--no-watermark)", file=sys.stderr)
