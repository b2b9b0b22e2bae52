"""Measures whether a preset syncs and looks right: every figure that it is meant to reach, and three tricks beside it.

    python -m benchmarks.quality.quality CLIP... [--own-only] [--speech WAV...] [--preset edge] [--profile balanced]
        [--json FILE] [--strips FOLDER] [--systems ours cold copy blur loudness] [--as-published]

Each clip shows one person, who counts once: of every figure there are mean, its 95 % bootstrap interval over people,
median, worst decile and worst. Then follow the means by kind of person and film, as ``clips.toml`` has them. Each clip
is dubbed with its own speech and, without ``--own-only``, with that of the next clip, and with one of the ``--speech``
files in turn (give other languages). Motion is scored twice: on the landmarks that stage 1 gives, and on landmarks
tracked again in the film, encoded to H264 and decoded as a viewer gets it; the second one counts. Sound that is late or
early against its own film is moved first, as ``mytalk train prepare`` does it (``--as-published``: not). The first 3 s
enrol the speaker (1.5 s of a clip up to 4 s, dubbed with its own speech), and their pictures are not compared; with its
own speech no mouth is learned after them. Give clips that nothing was trained on.

    ours       the preset, enrolled
    adapted    the same, adapted to the first half of the clip's own speech: see "second half", where it is scored
    cold       ours, knowing nothing of the person to begin with: one reference mouth, and a range not yet known
    copy       the film as it is. Perfect while it says what it said; see "with the own film" in unpaired speech
    blur       ours with a soft mouth. See sharpness; with grain on it, that may look right, and "detail" does not
    loudness   a mouth as far open as the sound is loud, at the person's range, painted by stage 2. See the correlation

"Hearing noise" gives stage 1 a steady noise instead of the speech: a mouth that follows the film all the same is read
off the filmed cheeks and nose, and would follow them in any speech. It and stage 2 alone, at true landmarks, are left
out by ``--own-only``.

With ``--json FILE`` a run can be stopped and started again: clips that are in the file are not made anew. One process,
one thread; the CPU time of all runs is printed. Images among the clips are portraits: they say each ``--speech`` file,
are drawn by ``--strips``, and have a table of their own. Strips are 8 frames of the encoded film: true (the source, in
unpaired speech), ours, and in own speech the difference x 4.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import torch
from tqdm import tqdm

import mytalk
from benchmarks.quality.bench import SYSTEMS, Bench, Figures, Job, jobs_of, speech_of_file
from benchmarks.quality.kinds import by_kind, kinds_of
from benchmarks.quality.table import OURS, by_clip, summary
from mytalk import StreamOptions
from mytalk.errors import OptionError
from mytalk.evaluation.aligned import align
from mytalk.evaluation.filmed import Filmed, track_film
from mytalk.evaluation.offset import OffsetEstimator
from mytalk.media import VideoReader
from mytalk.presets import PROFILES

Scores = dict[str, dict[str, Figures]]  # system, clip, figure


class Films:
    """Tracks clips when they are asked for; the last two are kept."""

    def __init__(self, estimator: OffsetEstimator | None) -> None:
        self._estimator = estimator
        self._kept: dict[Path, tuple[Filmed, float]] = {}

    def __call__(self, path: Path) -> tuple[Filmed, float]:
        """Returns a clip, and by how many ms its sound was late before it was moved."""
        if path not in self._kept:
            clip, late = track_film(path), math.nan
            if self._estimator is not None and not clip.film.still:
                clip, offset = align(clip, self._estimator)
                late = 0.0 if offset is None else offset.to_remove_ms
            self._kept[path] = clip, late
            while len(self._kept) > 2:
                del self._kept[next(iter(self._kept))]
        return self._kept[path]


@dataclass(slots=True)
class Results:
    """Holds the figures so far, and the file that keeps them between runs."""

    about: dict[str, Any]  # what was run: a file of something else is not gone on with
    path: Path | None = None
    clips: Scores = field(default_factory=dict)
    portraits: Scores = field(default_factory=dict)
    cpu_seconds: float = 0.0

    def load(self) -> None:
        """Reads what an earlier run left. Raises OptionError where that ran something else."""
        if self.path is None or not self.path.is_file():
            return
        kept = json.loads(self.path.read_text())
        if kept.get("about") != self.about:
            raise OptionError(f"{self.path}: holds another run ({kept.get('about')}); need another --json file")
        self.clips, self.portraits = _figures(kept["clips"]), _figures(kept["portraits"])
        self.cpu_seconds = kept["cpu_seconds"]

    def save(self) -> None:
        """Writes everything, after each clip: a long run that is stopped has lost little."""
        if self.path is not None:
            tables = {"clips": plain(self.clips), "portraits": plain(self.portraits)}
            written = {"about": self.about, "cpu_seconds": self.cpu_seconds, **tables}
            self.path.write_text(json.dumps(written, indent=1, allow_nan=False) + "\n")

    def has(self, name: str) -> bool:
        return any(name in clips for clips in self.clips.values())


def run(
    paths: list[Path], films: Films, bench: Bench, speeches: list[Path], results: Results, *, own_only: bool
) -> None:
    """Makes each film that is not among the results."""
    sounds = [speech_of_file(path) for path in speeches]
    for index, path in enumerate(tqdm(paths, "dubbing", unit="clip")):
        if results.has(path.stem):
            continue
        begun = time.process_time()
        clip, late = films(path)
        following = None if own_only or len(paths) < 2 else films(paths[(index + 1) % len(paths)])[0]
        found: dict[str, Figures] = {}
        for job in jobs_of(clip, following, sounds, index):
            for system, figures in bench.run(job):
                found.setdefault(system, {}).update(figures)
        for system, figures in () if own_only else bench.pixels(clip):
            found.setdefault(system, {}).update(figures)
        if OURS in found:
            found[OURS]["own.late_ms"] = late
            found[OURS] |= {} if own_only else bench.noise_following(clip)
        for system, figures in found.items():
            results.clips.setdefault(system, {})[path.stem] = figures
        results.cpu_seconds += time.process_time() - begun
        results.save()


def draw(portraits: list[Path], films: Films, bench: Bench, speeches: list[Path], results: Results) -> None:
    """Has each portrait say each speech."""
    sounds = [speech_of_file(path) for path in speeches]
    for path in portraits:
        for sound in sounds:
            job = Job(films(path)[0], sound, "speech")
            for system, figures in bench.run(job):
                results.portraits.setdefault(system, {})[job.name] = figures
    results.save()


def _files(paths: Iterable[Path]) -> list[Path]:
    """Lists the paths, and in place of a folder what is in it."""
    return [one for path in paths for one in (sorted(path.iterdir()) if path.is_dir() else [path])]


def _is_portrait(path: Path) -> bool:
    reader = VideoReader(path)
    return reader.image or reader.single


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "clips", nargs="+", type=Path, metavar="CLIP", help="films of talking faces, portraits, folders of them"
    )
    parser.add_argument("--own-only", action="store_true", help="own speech in the rendered film, and nothing else")
    parser.add_argument("--speech", nargs="+", type=Path, default=[], metavar="WAV", help="other languages' speech")
    parser.add_argument("--preset", default="edge", help="preset or checkpoint folder (default: %(default)s)")
    parser.add_argument("--profile", default="balanced", choices=sorted(PROFILES))
    parser.add_argument("--steps", type=int, default=None, help="diffusion steps (default: the preset's)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--systems", nargs="+", default=[OURS], choices=SYSTEMS, metavar="NAME")
    parser.add_argument("--as-published", action="store_true", help="leave sound where it is, late or early")
    parser.add_argument(
        "--json", type=Path, default=None, help="write every figure of every clip here, and go on there"
    )
    parser.add_argument("--strips", type=Path, default=None, help="folder for pictures")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    pipeline = mytalk.load(arguments.preset, device="cpu")
    options = StreamOptions(seed=arguments.seed, steps=arguments.steps, profile=arguments.profile)
    paths, speeches = _files(arguments.clips), _files(arguments.speech)
    portraits = [path for path in paths if _is_portrait(path)]
    if portraits and not speeches:
        raise OptionError(f"{portraits[0]}: a portrait says nothing of its own (need --speech WAV)")
    names = [name for name in SYSTEMS if name in arguments.systems]
    about = {
        "preset": pipeline.preset.name,
        "options": json.loads(json.dumps(asdict(options))),
        "own_only": arguments.own_only,
        "as_published": arguments.as_published,
        "systems": names,
    }
    results = Results(about, arguments.json)
    results.load()
    films = Films(None if arguments.as_published else OffsetEstimator())
    bench = Bench(pipeline, options, names, arguments.strips)
    run([p for p in paths if p not in portraits], films, bench, speeches, results, own_only=arguments.own_only)
    draw(portraits, films, bench, speeches, results)
    steps = options.steps or pipeline.steps
    minutes = results.cpu_seconds / 60
    print(f"{platform.machine()}, preset {pipeline.preset.name}, profile {options.profile}, {steps} steps")
    print(f"{minutes:.1f} CPU minutes, one process, one thread, loading of models not included\n")
    print(report(results))


def report(results: Results) -> str:
    clips, portraits = results.clips, results.portraits
    parts = [summary(clips)] if any(clips.values()) else []
    if clips.get(OURS):
        parts.append("ours, means by kind\n" + by_kind(clips[OURS], kinds_of(clips[OURS])))
    for title, tables in (("", clips), ("portraits, ", portraits)):
        parts += [f"{title}{name}, clip by clip\n{by_clip(rows)}" for name, rows in tables.items() if rows]
    return "\n\n".join(parts)


def plain(scores: Scores) -> dict[str, dict[str, dict[str, float | str | None]]]:
    """Converts for JSON: a figure that is not known is null, an infinite one the string "inf"."""

    def one(value: float) -> float | str | None:
        return None if math.isnan(value) else "inf" if math.isinf(value) else value

    return {
        name: {clip: {key: one(value) for key, value in figures.items()} for clip, figures in clips.items()}
        for name, clips in scores.items()
    }


def _figures(written: Any) -> Scores:
    """Reads what `plain` made."""
    return {
        name: {
            clip: {key: math.nan if value is None else float(value) for key, value in figures.items()}
            for clip, figures in clips.items()
        }
        for name, clips in written.items()
    }


if __name__ == "__main__":
    main()
