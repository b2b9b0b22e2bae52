"""``mytalk dub MANIFEST.tsv -o FOLDER``: many films at once, going on where an earlier run broke off."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tqdm import tqdm

from mytalk.errors import OptionError
from streamer.commands import signals
from streamer.commands.film_options import film_options
from streamer.commands.weights_options import say_watermark
from streamer.cpu import available_cores, leave_some_to_others, sleep_when_idle

if TYPE_CHECKING:  # what opens films is slow to import
    from mytalk.studio.batch import Dub, Outcome
    from mytalk.studio.manifest import Film

REPORT = "report.json"
"""Name of the report in the output folder."""

_FAILED = 1
_NOT_OF_FILMS = frozenset({"source", "speech", "output", "force", "jobs", "run", "command", "debug"})  # arguments


def run_films(args: argparse.Namespace) -> int:
    """Dubs all films that ``args.source`` names into the folder ``args.output``; 1 where any failed.

    Raises ``MyTalkError`` for what is wrong with all of them.
    """
    from mytalk.appearance.warm_up import load_renderer
    from mytalk.studio.batch import run_batch
    from mytalk.studio.journal import Journal
    from mytalk.studio.manifest import read_films

    films = read_films(args.source)
    film_options(args)
    say_watermark(args)
    if args.jobs is not None and args.jobs < 1:
        raise OptionError(f"--jobs {args.jobs}: need at least 1")
    journal = Journal(args.output)
    load_renderer()  # compiled once here, rather than by each worker
    try:
        with FilmsProgress(len(films)) as progress:
            outcomes = run_batch(
                films,
                journal,
                _Start(args),
                _settings(args),
                jobs=args.jobs or available_cores(),
                force=args.force,
                watcher=progress,
            )
    finally:
        journal.close()
    (args.output / REPORT).write_text(json.dumps(report_of(outcomes), indent=1) + "\n", encoding="utf-8")
    return _tell(outcomes, args.output)


def report_of(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Returns what the JSON report says: counts, and of each film its files, its state and its figures or error."""
    counts = {state: sum(one.state == state for one in outcomes) for state in ("made", "whole", "failed")}
    films = [
        {
            "video": str(one.film.picture),
            "speech": str(one.film.speech),
            "output": one.film.output,
            "state": one.state,
            **({"error": one.error} if one.error is not None else {}),
            **one.figures,
        }
        for one in outcomes
    ]
    return {**counts, "films": films}


@dataclass(frozen=True, slots=True)
class _Start:
    """Loads the models in a worker: one thread a network, since each core has a film of its own."""

    args: argparse.Namespace

    def __call__(self) -> Dub:
        sleep_when_idle()
        leave_some_to_others(callers=2)
        from mytalk.pipeline import load
        from streamer.commands.film_job import check_asked_film

        args = self.args
        pipeline = load(args.preset, device=args.device, speech_model=args.speech_model, dtype=args.dtype)

        def dub(film: Film, output: Path, progress: Callable[[int, int | None], None]) -> dict[str, Any]:
            job = check_asked_film(args, film.picture, film.speech, output, force=True)  # a file of this program's own
            report = asdict(job.make(pipeline, progress))
            report.pop("path")
            return report

        return dub


def _settings(args: argparse.Namespace) -> str:
    """Writes down all that changes a film but its files."""
    import mytalk

    chosen = {name: value for name, value in vars(args).items() if name not in _NOT_OF_FILMS}
    return json.dumps({"version": mytalk.__version__, **chosen}, sort_keys=True, default=str)


def _tell(outcomes: Sequence[Outcome], folder: Path) -> int:
    """Prints how many films were made, and a table of those that were not."""
    failed = [one for one in outcomes if one.state == "failed"]
    made, whole = (sum(one.state == state for one in outcomes) for state in ("made", "whole"))
    words = [f"{made} made", *([f"{whole} were there already"] if whole else []), f"{len(failed)} failed"]
    print(f"{folder}: {len(outcomes)} films: {', '.join(words)} ({folder / REPORT})", flush=True)
    if failed:
        width = max(len(one.film.output) for one in failed)
        print(f"{'failed':<{width}}  why", file=sys.stderr)
        for one in failed:
            print(f"{one.film.output:<{width}}  {one.error}", file=sys.stderr)
    return _FAILED if failed else 0


class FilmsProgress:
    """Shows one bar for all films and one for each at work; elsewhere than on a terminal, a line for each that ends."""

    def __init__(self, films: int) -> None:
        self._films, self._ended = films, 0
        self._terminal = sys.stderr.isatty()
        self._all: tqdm[None] | None = None
        self._bars: dict[str, tqdm[None]] = {}

    def __enter__(self) -> Self:
        if self._terminal:
            self._all = tqdm(total=self._films, desc="films", unit="film", dynamic_ncols=True, file=sys.stderr)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for bar in (*self._bars.values(), self._all):
            if bar is not None:
                bar.close()

    def film_moved(self, film: Film, done: int, total: int | None) -> None:
        """Moves a film's own bar."""
        if not self._terminal:
            return
        bar = self._bars.get(film.output)
        if bar is None:
            bar = tqdm(desc=film.output, unit="frame", dynamic_ncols=True, leave=False, file=sys.stderr)
            self._bars[film.output] = bar
        bar.total = None if total is None else max(total, done)
        bar.update(done - bar.n)

    def film_ended(self, outcome: Outcome) -> None:
        """Counts a film, whatever became of it."""
        self._ended += 1
        bar = self._bars.pop(outcome.film.output, None)
        if bar is not None:
            bar.close()
        if self._all is not None:
            self._all.update(1)
        if not self._terminal:
            print(f"{self._ended} of {self._films}: {outcome.film.output} {outcome.state}", file=sys.stderr, flush=True)

    def check(self) -> None:
        """Raises the exception of a signal that a library swallowed."""
        signals.check()
