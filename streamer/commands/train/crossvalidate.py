"""``mytalk train crossvalidate``: scores ways to fit and adapt the readout, with people as folds."""

from __future__ import annotations

import argparse
from pathlib import Path

from streamer.commands.progress_bar import Progress


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "crossvalidate",
        help="score ways to fit the readout, each person left out in turn",
        description="Fits the readout to all people but one, scores it on the one left out, and prints a line for each "
        "way to fit: aperture correlation over people, with a 95 % bootstrap interval of the mean.",
    )
    parser.add_argument("preset", type=Path, metavar="FOLDER", help="whose mouth space and recogniser are used")
    parser.add_argument(
        "--data", type=Path, action="append", required=True, help="folder of mytalk train prepare; may be given again"
    )
    parser.add_argument(
        "--score", type=Path, action="append", metavar="DATA", help="folder whose people are left out (default: all)"
    )
    parser.add_argument("--offsets", type=Path, metavar="TSV", help="of mytalk train offsets, which are taken away")
    parser.add_argument("--ridge", type=float, nargs="+", metavar="R", help="penalties a frame (default: 1.25)")
    parser.add_argument(
        "--balance", type=float, nargs="+", metavar="B", help="0: minutes count alike, 1: people do (default: 0.5)"
    )
    parser.add_argument("--profile", default="balanced", help="whose look-ahead is scored (default: balanced)")
    parser.add_argument(
        "--shares",
        type=float,
        nargs="+",
        metavar="S",
        help="score the denoiser instead, streamed with the readout's share "
        "in motion: 1 the readout alone, 0 the denoiser alone",
    )
    parser.add_argument(
        "--own-speech",
        action="store_true",
        help="adapt the fit to one half of the speech of who is left out, score it on the other half, and try the "
        "sound of somebody else, which has to be refused",
    )
    parser.add_argument(
        "--penalty",
        type=float,
        nargs=2,
        action="append",
        metavar=("FEATURES", "OUTPUT"),
        help="penalties of the adaptation; may be given again (default: those of sessions)",
    )
    parser.add_argument("--people", action="store_true", help="print each person's score, too")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fits, scores and prints; raises ``MyTalkError``."""
    from mytalk.errors import OptionError
    from mytalk.presets import PROFILES
    from mytalk.training.speech.crossvalidation import choices_of, cross_validate
    from mytalk.training.speech.readout import BALANCE, RIDGE

    if args.profile not in PROFILES:
        raise OptionError(f"--profile {args.profile}: unknown (need one of {', '.join(sorted(PROFILES))})")
    if args.shares is not None:
        return _shares(args)
    ridges = [RIDGE] if args.ridge is None else args.ridge
    balances = [BALANCE] if args.balance is None else args.balance
    if min(ridges) <= 0 or not all(0 <= balance <= 1 for balance in balances):
        raise OptionError(f"--ridge {ridges} --balance {balances}: need penalties above 0 and balances from 0 to 1")
    if args.own_speech:
        return _own_speech(args)
    choices = choices_of(ridges, balances)
    with Progress("listening", "clip") as progress:
        rows = list(
            cross_validate(
                args.preset, args.data, args.score or args.data, choices, args.offsets, args.profile, progress
            )
        )
    print("ridge  balance  people   mean  95 % interval   median  worst decile  worst")
    for row in rows:
        over = row.figures
        print(
            f"{row.choice.ridge:5.2f}  {row.choice.balance:7.2f}  {over.people:6d}  {over.mean:.3f}  "
            f"{over.low:.3f} to {over.high:.3f}  {over.median:.3f}   {over.worst_decile:.3f}         {over.worst:.3f}"
        )
        if args.people:
            for person, value in sorted(row.by_person.items(), key=lambda item: item[1]):
                print(f"    {value:.3f}  {person}")
    return 0


def _shares(args: argparse.Namespace) -> int:
    """Scores shares of the readout in motion; raises ``MyTalkError``."""
    from mytalk.errors import OptionError
    from mytalk.training.speech.share_scores import lines, score_shares

    if not all(0 <= share <= 1 for share in args.shares):
        raise OptionError(f"--shares {args.shares}: need shares from 0 to 1")
    with Progress("listening", "clip") as progress:
        rows = score_shares(
            args.preset, args.data, args.score or args.data, args.shares, args.offsets, args.profile, progress
        )
    print(*lines(rows), sep="\n")
    if args.people:
        for row in rows:
            for person, one in sorted(row.by_person.items(), key=lambda item: item[1].correlation):
                print(f"    {row.share:.2f}  {one.correlation:.3f}  {one.error:.4f}  {one.range_ratio:.2f}  {person}")
    return 0


def _own_speech(args: argparse.Namespace) -> int:
    """Adapts, scores and prints a line for each person, and the figures over people."""
    from mytalk.evaluation.intervals import over_people
    from mytalk.motion.own_speech import PENALTIES
    from mytalk.training.speech.own_speech import cross_validate_own_speech

    penalties = [PENALTIES] if args.penalty is None else [(one[0], one[1]) for one in args.penalty]
    with Progress("listening", "clip") as progress:
        rows = list(
            cross_validate_own_speech(
                args.preset, args.data, args.score or args.data, penalties, args.offsets, args.profile, progress
            )
        )
    print(
        "own speech s  before  " + "  ".join(f"{a:6.0f}, {b:4.0f}" for a, b in penalties) + "  adapted  strangers  who"
    )
    for row in rows if args.people else ():
        cells = "  ".join(f"{row.after[one]:12.3f}" for one in penalties)
        accepted = f"{row.adapted:7.0%}  {row.others_adapted:9.0%}"
        print(f"{row.seconds:12.1f}  {row.before:6.3f}  {cells}  {accepted}  {row.person}")
    for name in ("mean", "low", "high", "median", "worst_decile", "worst"):
        before = getattr(over_people([row.before for row in rows]), name)
        after = [getattr(over_people([row.after[one] for row in rows]), name) for one in penalties]
        print(f"{name:>12}  {before:6.3f}  " + "  ".join(f"{value:12.3f}" for value in after))
    strangers = sum(row.others_adapted for row in rows) / len(rows)
    adapted = sum(row.adapted for row in rows) / len(rows)
    print(f"{len(rows)} people; adapted {adapted:.0%} of the halves, and {strangers:.1%} to the sound of somebody else")
    return 0
