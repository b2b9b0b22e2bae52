"""``mytalk train``: from videos to the weights of a preset, in six steps."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from mytalk.errors import OptionError
from streamer.commands.progress_bar import Progress
from streamer.commands.train import ablations, crossvalidate, graphs, offsets, prepare, readout, voice

if TYPE_CHECKING:
    from mytalk.training.run.loop import Outcome

STOPPED = 130
"""Exit code of a run that a signal stopped, as after Ctrl-C."""

_EPILOG = """
  mytalk train prepare VIDEOS -o data
  mytalk train identity   --config edge --data data -o runs/identity
  mytalk train motion     --config edge --data data --identity runs/identity -o runs/motion
  mytalk train appearance --config edge --data data -o runs/appearance
  mytalk train export runs/identity runs/motion runs/appearance -o my_preset
  mytalk train readout my_preset --data data
  mytalk train voice my_preset --tts tts
  mytalk dub face.mp4 speech.wav -o out.mp4 --preset my_preset

A motion run that needs many steps of sampling teaches one that needs few; export takes it in the motion run's place:
  mytalk train distill    --config edge --data data --teacher runs/motion -o runs/distilled

The same command goes on where a run stopped. Several GPUs, or machines that all see RUN:
  torchrun --nproc-per-node 8 -m streamer.cli train motion ...
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command and its own commands."""
    parser = subparsers.add_parser(
        "train",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="trainer", required=True, metavar="COMMAND")
    prepare.add_parser(commands)
    offsets.add_parser(commands)
    identity = _add_trainer(commands, "identity", "tell people apart by their landmarks (ArcFace)")
    identity.set_defaults(run=_identity)
    motion = _add_trainer(commands, "motion", "speech to lower-face motion (diffusion)")
    motion.add_argument("--identity", type=Path, required=True, metavar="RUN", help="the finished identity run")
    motion.add_argument("--tts", type=Path, metavar="FOLDER", help="synthetic speech of mytalk.training.voices.corpus")
    motion.add_argument("--tts-alone", action="store_true", help="no step on clips: what measures their offsets")
    motion.add_argument("--offsets", type=Path, metavar="TSV", help="of mytalk train offsets, which are taken away")
    _add_start(motion)
    _add_speech_model(motion)
    motion.set_defaults(run=_motion)
    distill = _add_trainer(commands, "distill", "teach a motion model to sample in 1 to 4 steps")
    distill.add_argument(
        "--teacher", type=Path, required=True, metavar="FOLDER", help="a finished motion run, or a preset folder"
    )
    distill.add_argument("--student-steps", type=int, help="1 to 4 (default: the config's)")
    _add_speech_model(distill)
    distill.set_defaults(run=_distill)
    appearance = _add_trainer(commands, "appearance", "landmarks and references to pictures")
    _add_start(appearance)
    appearance.set_defaults(run=_appearance)
    export = commands.add_parser("export", help="three runs to one preset folder", description="Three runs to one.")
    for name in ("identity", "motion", "appearance"):
        export.add_argument(name, type=Path, metavar=f"{name.upper()}_RUN")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="the preset folder")
    export.add_argument(
        "--average",
        type=Path,
        nargs="+",
        default=[],
        metavar="MOTION_RUN",
        help="further motion runs with the first one's --start: the mean of all is written",
    )
    export.add_argument("--force", action="store_true", help="replace a checkpoint that is there")
    export.set_defaults(run=_export)
    readout.add_parser(commands)
    crossvalidate.add_parser(commands)
    voice.add_parser(commands)
    graphs.add_parser(commands)
    ablations.add_parser(commands)


def _add_trainer(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
    parser.add_argument("--config", required=True, help="edge, paper, tiny, or a TOML file")
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        required=True,
        help="folder of mytalk train prepare; may be given again",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN", help="folder of the run")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    for option, text in (
        ("steps", "steps in all"),
        ("batch", "rows a step, over all processes"),
        ("accumulate", "passes a step: less memory, same result"),
        ("workers", "processes that make examples"),
        ("seed", "of every random draw"),
    ):
        parser.add_argument(f"--{option}", type=int, help=f"{text} (default: the config's)")
    return parser


def _add_start(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--start", type=Path, metavar="FOLDER", help="begin from the weights of a preset or a run")


def _add_speech_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--speech-model", metavar="FOLDER", help="wav2vec 2.0: a local folder or a hub name (presets that need one)"
    )


def _identity(args: argparse.Namespace) -> int:
    from mytalk.training.run.config import read_config
    from mytalk.training.trainers import train_identity

    with _progress("identity") as progress:
        outcome = train_identity(
            read_config(args.config), args.data, args.output, device=args.device, progress=progress, **_overrides(args)
        )
    return _print_outcome(args.output, outcome)


def _motion(args: argparse.Namespace) -> int:
    from mytalk.training.motion.task import MotionSources
    from mytalk.training.run.config import read_config
    from mytalk.training.trainers import train_motion

    sources = MotionSources(args.data, args.identity, args.tts, args.speech_model, args.offsets, args.start)
    overrides = {**_overrides(args), "tts_first": 1.0 if args.tts_alone else None}
    if args.tts_alone and args.tts is None:
        raise OptionError("--tts-alone needs --tts: a folder of mytalk.training.voices.corpus")
    with _progress("motion") as progress:
        outcome = train_motion(
            read_config(args.config), sources, args.output, device=args.device, progress=progress, **overrides
        )
    return _print_outcome(args.output, outcome)


def _distill(args: argparse.Namespace) -> int:
    from mytalk.training.run.config import read_config
    from mytalk.training.trainers import train_distill

    with _progress("distill") as progress:
        outcome = train_distill(
            read_config(args.config),
            args.data,
            args.teacher,
            args.output,
            speech_model=args.speech_model,
            device=args.device,
            progress=progress,
            student_steps=args.student_steps,
            **_overrides(args),
        )
    return _print_outcome(args.output, outcome)


def _appearance(args: argparse.Namespace) -> int:
    from mytalk.training.run.config import read_config
    from mytalk.training.trainers import train_appearance

    with _progress("appearance") as progress:
        outcome = train_appearance(
            read_config(args.config),
            args.data,
            args.output,
            start=args.start,
            device=args.device,
            progress=progress,
            **_overrides(args),
        )
    return _print_outcome(args.output, outcome)


def _export(args: argparse.Namespace) -> int:
    from mytalk.training.export import compose

    preset = compose(args.identity, args.motion, args.appearance, args.output, average=args.average, force=args.force)
    print(f"{args.output}: preset {preset.name} (mytalk dub FACE SPEECH -o OUT.mp4 --preset {args.output})")
    return 0


def _overrides(args: argparse.Namespace) -> dict[str, int | float | None]:
    """Gives the options of the command line, which override the config's; steps replace epochs."""
    names = ("steps", "batch", "accumulate", "workers", "seed")
    return {**{name: getattr(args, name) for name in names}, "epochs": None if args.steps is None else 0.0}


def _progress(what: str) -> AbstractContextManager[Progress | None]:
    return Progress(what, "step") if _is_first() else nullcontext()


def _is_first() -> bool:
    """Tells whether this is the one process, of those that torchrun started, that prints."""
    return os.environ.get("RANK", "0") == "0"


def _print_outcome(run: Path, outcome: Outcome) -> int:
    """Prints how a run ended, in the first process alone; gives the exit code."""
    if _is_first():
        figures = ", ".join(f"{name} {value:.4g}" for name, value in outcome.figures.items())
        print(
            f"{run}: {outcome.steps} steps; {figures or 'nothing left to do'}; weights in {run / 'weights'}", flush=True
        )
        if not outcome.finished:
            print("stopped as asked; the same command goes on", file=sys.stderr, flush=True)
    return 0 if outcome.finished else STOPPED
