"""``mytalk evaluate``: measures lip sync and picture quality, of our engine or of films that any system made."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mytalk.errors import InputError, OptionError, OutputExistsError
from mytalk.presets import PROFILES
from streamer.commands.progress_bar import Progress

if TYPE_CHECKING:  # torch is slow to import, and the command line is checked before it is needed
    from mytalk.evaluation.jobs import Job
    from mytalk.evaluation.run import Report

_SHOWN = ("psnr", "mouth_psnr", "mouth_lmd", "correlation", "range_ratio", "asked_seam", "outside_flicker", "sharpness")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its options."""
    parser = subparsers.add_parser("evaluate", description=__doc__)
    parser.add_argument("clips", type=Path, nargs="*", metavar="CLIP", help="films of talking faces, for our engine")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="REPORT", help="folder for the report")
    parser.add_argument("--force", action="store_true", help="replace a report that is there")
    films = parser.add_argument_group("films of any system, instead of clips")
    films.add_argument("--pairs", type=Path, metavar="PAIRS.tsv", help="lines of generated<TAB>true[<TAB>speech]")
    films.add_argument("--generated", type=Path, metavar="FOLDER", help="generated films; needs --true")
    films.add_argument("--true", type=Path, metavar="FOLDER", help="filmed ones, of the same names")
    films.add_argument("--window", type=int, metavar="FRAMES", help="the system's window at 25 fps, for the seam ratio")
    engine = parser.add_argument_group("our engine")
    engine.add_argument("--unpaired", action="store_true", help="each clip says what the next one says")
    engine.add_argument("--preset", default="edge", help="preset or checkpoint folder (default: %(default)s)")
    engine.add_argument("--profile", default="balanced", help=f"{', '.join(PROFILES)} (default: %(default)s)")
    engine.add_argument("--steps", type=int, help="diffusion steps, 1 to 50 (default: the preset's)")
    engine.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    engine.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)")
    engine.add_argument("--speech-model", metavar="FOLDER", help="wav2vec 2.0, for presets that need one")
    judges = parser.add_argument_group("networks that judge, if you have their weights")
    judges.add_argument("--syncnet", type=Path, metavar="WEIGHTS", help="syncnet_v2.model, for LSE-D and LSE-C")
    judges.add_argument("--arcface", type=Path, metavar="MODEL.onnx", help="a 112 x 112 face embedder, for IDsim")
    judges.add_argument("--lpips", type=Path, metavar="FILE_OR_FOLDER", help="torchvision's AlexNet weights")
    judges.add_argument("--fid", type=Path, metavar="WEIGHTS", help="torch-fidelity's Inception weights")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Writes the report and prints its path; raises ``MyTalkError``."""
    jobs = _jobs(args)
    if (args.output / "report.json").exists() and not args.force:
        raise OutputExistsError(f"{args.output}: there is a report already (--force replaces it)")
    import cv2
    import torch

    from mytalk.evaluation.clip import Judges
    from mytalk.evaluation.report import write_report
    from mytalk.evaluation.run import evaluate
    from mytalk.stream_options import StreamOptions

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    options = StreamOptions(seed=args.seed, steps=args.steps, profile=args.profile)
    judges = Judges.load(args.syncnet, args.arcface, args.lpips, args.fid)
    pipeline = None
    if any(job.generated is None for job in jobs):
        print(f"loading {args.preset}", file=sys.stderr, flush=True)
        import mytalk

        pipeline = mytalk.load(args.preset, device=args.device, speech_model=args.speech_model)
    with Progress("scoring", "frame") as progress:
        report = evaluate(jobs, judges, pipeline=pipeline, options=options, window=args.window, progress=progress)
    path = write_report(report, args.output)
    _print_summary(report, path)
    if not report.scored:
        raise InputError(f"none of {len(jobs)} clips could be scored: {report.clips[0].failed}")
    return 0


def _jobs(args: argparse.Namespace) -> list[Job]:
    from mytalk.evaluation.jobs import jobs_of_clips, jobs_of_folders, jobs_of_table

    ways = [bool(args.clips), args.pairs is not None, args.generated is not None or args.true is not None]
    if sum(ways) != 1:
        raise OptionError("give clips, or --pairs, or --generated and --true (one of the three)")
    if args.window is not None and args.window < 1:
        raise OptionError(f"--window {args.window}: need 1 frame or more")
    if args.clips:
        return jobs_of_clips(args.clips, unpaired=args.unpaired)
    if args.unpaired:
        raise OptionError("--unpaired is for clips; in a table of pairs, name the speech in a third column")
    if args.pairs is not None:
        return jobs_of_table(args.pairs)
    if args.generated is None or args.true is None:
        raise OptionError("--generated and --true go together (need both folders)")
    return jobs_of_folders(args.generated, args.true)


def _print_summary(report: Report, path: Path) -> None:
    from mytalk.evaluation.metrics import BY_KEY
    from mytalk.evaluation.summary import show, summarise

    for clip in report.clips:
        if clip.failed is not None:
            print(f"mytalk: warning: {clip.clip}: not scored: {clip.failed}", file=sys.stderr)
    means = {row.metric.key: row.mean for row in summarise(report)}
    for key in _SHOWN:
        if key in means:
            print(f"{BY_KEY[key].title:32} {show(BY_KEY[key], means[key])}")
    print(f"{path}: {len(report.scored)} of {len(report.clips)} clips scored", flush=True)
