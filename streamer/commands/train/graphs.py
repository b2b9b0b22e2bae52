"""``mytalk train graphs``: writes the graphs by which a preset folder runs without torch."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "graphs",
        help="export a preset folder's networks again",
        description="Exports the networks of a preset folder as ONNX graphs without weights, by which it runs on a CPU "
        "without torch. mytalk train export does it too; graphs stay good for weights of the same sizes.",
    )
    parser.add_argument("preset", metavar="FOLDER", type=Path, help="of mytalk train export")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exports and writes; raises ``MyTalkError``."""
    from mytalk.training.graphs import write_graphs

    if write_graphs(args.preset):
        print(f"{args.preset}: its graphs are written; on a CPU it needs no torch")
    else:
        print(f"{args.preset}: its networks run by torch alone: too large, or another kind than graphs can be")
    return 0
