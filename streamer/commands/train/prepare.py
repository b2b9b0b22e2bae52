"""``mytalk train prepare``: turns a folder of videos into a data folder that the trainers read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from streamer.commands.progress_bar import Progress

if TYPE_CHECKING:  # torch is slow to import, and the command line is checked before it is needed
    from mytalk.training.data.prepare import Summary


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its options to those of ``mytalk train``."""
    parser = subparsers.add_parser("prepare", help="cut, align and check videos for training", description=__doc__)
    parser.add_argument("videos", type=Path, metavar="VIDEO_FOLDER", help="videos of talking faces, in any folders")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="DATA",
        help="data folder; one that is there is continued",
    )
    parser.add_argument(
        "--people",
        default="by-folder",
        metavar="HOW",
        help="who is seen: by-folder, by-file, or a TSV of video and person (default: %(default)s; a video that lies "
        "in no folder is one person)",
    )
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="at a time (default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="side of the aligned face (default: %(default)s)")
    parser.add_argument("--min-face", type=int, default=64, metavar="PIXELS", help="width (default: %(default)s)")
    parser.add_argument("--max-yaw", type=float, default=30.0, metavar="DEGREES", help="turn (default: %(default)s)")
    parser.add_argument("--strict", action="store_true", help="reject what cannot be told to be in sync, too")
    parser.add_argument("--keep-offset", action="store_true", help="leave sound that is late or early where it is")
    parser.add_argument(
        "--sync-weights",
        default="edge",
        metavar="FOLDER",
        help="preset or checkpoint whose motion model measures how late sound is: not one that learned from these "
        "videos (default: %(default)s)",
    )
    parser.add_argument("--licence", default="", metavar="NOTE", help="a note that every clip carries")
    parser.add_argument("--shard-mb", type=int, default=256, help="size of a shard (default: %(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prepares the videos that are not prepared yet and prints a summary; raises ``MyTalkError``."""
    from mytalk.training.data.prepare import PrepareOptions, prepare
    from mytalk.training.data.screening import Limits

    options = PrepareOptions(
        size=args.size,
        people=args.people,
        limits=Limits(args.min_face, args.max_yaw),
        strict=args.strict,
        keep_offset=args.keep_offset,
        sync_weights=args.sync_weights,
        licence=args.licence,
        shard_mb=args.shard_mb,
    )
    with Progress("preparing", "part") as progress:
        summary = prepare(args.videos, args.output, options, processes=args.processes, progress=progress)
    if summary.not_video:
        print(f"mytalk: warning: {summary.not_video} files are not named like videos: left alone", file=sys.stderr)
    print(_text(args.output, summary), flush=True)
    return 0


def _text(data: Path, summary: Summary) -> str:
    lines = [f"{data}: {summary.clips} clips of {summary.people} people, {summary.seconds / 60:.1f} minutes"]
    if summary.done_seconds:
        cost = summary.work_seconds / summary.done_seconds
        lines.append(f"{cost:.2f} s of processor time a second of video")
    if summary.rejected:
        lines += ["left out:", summary.table(), f"where and why: {data / 'rejected.tsv'}"]
    return "\n".join(lines)
