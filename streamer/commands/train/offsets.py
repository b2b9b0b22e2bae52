"""``mytalk train offsets``: measures by how much each person's sound is late."""

from __future__ import annotations

import argparse
from pathlib import Path

from streamer.commands.progress_bar import Progress


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "offsets",
        help="measure by how much each person's sound is late",
        description="By how much each person's sound is late: a table that train motion --offsets takes away. The "
        "weights must have learned from none of these people: a motion run with --tts-alone.",
    )
    parser.add_argument(
        "--data", type=Path, action="append", required=True, help="folder of mytalk train prepare; may be given again"
    )
    parser.add_argument("--weights", type=Path, required=True, metavar="RUN", help="motion run that measures")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="TSV", help="the table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measures, writes and prints the table; raises ``MyTalkError``."""
    from mytalk.evaluation.offset import OffsetEstimator
    from mytalk.training.data.person_offsets import measure_people, write_offsets
    from mytalk.training.data.store import ClipStore
    from mytalk.training.motion.task import weights_of

    estimator, store = OffsetEstimator(str(weights_of(args.weights))), ClipStore(args.data)
    with Progress("measuring", "person") as progress:
        found = measure_people(store, estimator, progress)
    write_offsets(args.output, found)
    for one in found:
        print(f"{one.person}: {one.measured_ms:+.0f} ms in {one.seconds:.0f} s, {one.remove_ms:+.0f} ms to remove")
    return 0
