"""``mytalk train ablations``: runs the paper's ablations on your data and prints its Tables 5, 6 and 7 beside them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its options."""
    parser = commands.add_parser("ablations", help="the paper's ablations, tables 5, 6 and 7", description=__doc__)
    parser.add_argument("--config", required=True, help="edge, paper, tiny, or a TOML file: what the rows start from")
    parser.add_argument(
        "--data", type=Path, action="append", required=True, help="folder of mytalk train prepare; may be given again"
    )
    parser.add_argument(
        "--hold-out", action="append", default=[], metavar="PERSON",
        help="person (or clip) that is measured on and not trained on; may be given again",
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUNS", help="folder for all runs")
    parser.add_argument("--steps", type=int, help="steps of every run (default: the config's)")
    parser.add_argument("--clips", type=int, default=8, help="held-out clips to measure on (default: %(default)s)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    parser.add_argument("--speech-model", metavar="FOLDER", help="wav2vec 2.0, for presets that need one")
    parser.add_argument("--syncnet", type=Path, metavar="WEIGHTS", help="syncnet_v2.model, for Sync_dist")
    parser.add_argument("--arcface", type=Path, metavar="MODEL.onnx", help="a 112 x 112 face embedder, for ID_sim")
    parser.add_argument("--fid", type=Path, metavar="WEIGHTS", help="torch-fidelity's Inception weights, for FID")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the tables; raises ``MyTalkError``."""
    from mytalk.training.ablations.runner import Grid, run_grid
    from mytalk.training.run.config import read_config

    grid = Grid(
        config=read_config(args.config),
        data=args.data,
        output=args.output,
        hold_out=tuple(args.hold_out),
        steps=args.steps,
        clips=args.clips,
        speech_model=args.speech_model,
        syncnet=args.syncnet,
        arcface=args.arcface,
        inception=args.fid,
        device=args.device,
    )
    print(run_grid(grid, lambda line: print(f"ablations: {line}", file=sys.stderr, flush=True)), flush=True)
    return 0
