"""Runs the paper's ablations on any prepared data: trains every run of the grid, measures it, prints Tables 5, 6 and
7.

Motion rows are measured end to end, on held-out clips as films: the row's motion model with the grid's own appearance
model. Appearance rows are measured with true landmarks. A run that is finished is not trained again, so the same
command goes on where it was stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from mytalk.errors import DataError, OptionError
from mytalk.evaluation.clip import Judges
from mytalk.evaluation.jobs import jobs_of_clips
from mytalk.evaluation.perceptual import Gaussian, frechet_distance, load_inception
from mytalk.evaluation.run import evaluate
from mytalk.pipeline import load
from mytalk.torch_checkpoint import load_into
from mytalk.training.ablations.rows import Row, read_rows, render
from mytalk.training.appearance.options import AppearanceOptions
from mytalk.training.appearance.task import AppearanceTask
from mytalk.training.data.store import ClipStore
from mytalk.training.export import compose
from mytalk.training.motion.task import MotionSources
from mytalk.training.run.config import Config
from mytalk.training.run.logbook import read_curve
from mytalk.training.run.loop import WEIGHTS
from mytalk.training.trainers import train_appearance, train_identity, train_motion

RESULTS = "ablations.json"

_HELD_OUT_ID = "held_out/identity"

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Grid:
    """Holds what a grid of runs is made from. ``steps`` None leaves the config's; ``clips`` bounds what is measured
    on."""

    config: Config
    data: Sequence[Path]
    output: Path
    hold_out: tuple[str, ...]
    steps: int | None = None
    clips: int = 8
    rows: int = 64  # frames that an appearance model is measured on
    speech_model: str | None = None
    syncnet: Path | None = None
    arcface: Path | None = None
    inception: Path | None = None
    device: str = "auto"


def run_grid(grid: Grid, report: Callable[[str], None] = lambda line: None, rows: Sequence[Row] | None = None) -> str:
    """Trains and measures every row (None: the paper's); returns the tables as text.

    They and ``ablations.json`` are written beside the runs.

    Raises OptionError where nobody is held out to be measured on, and what the trainers raise.
    """
    if not grid.hold_out:
        raise OptionError("ablations: nobody is held out to be measured on (need --hold-out PERSON, once or more)")
    rows = rows or read_rows()
    films = _films(grid)
    measured: dict[str, Figures] = _read(grid.output / RESULTS)
    report("identity")
    given: dict[str, Any] = {"steps": grid.steps, "hold_out": grid.hold_out}
    if grid.steps is not None:
        given["epochs"] = 0.0
    train_identity(grid.config, grid.data, grid.output / "identity", device=grid.device, **given)
    ours = next(row for row in rows if row.table == 7)
    for row in sorted(rows, key=lambda row: row.table != 7):  # motion rows need an appearance model to be seen with
        if row.run in measured:
            continue
        report(row.name)
        config, run = row.config(grid.config), grid.output / row.run
        if row.table == 7:
            train_appearance(config, grid.data, run, device=grid.device, **given)
            measured[row.run] = measure_appearance(grid, config, run)
        else:
            sources = MotionSources(grid.data, grid.output / "identity", None, grid.speech_model)
            train_motion(config, sources, run, device=grid.device, **given)
            measured[row.run] = _measure_motion(grid, run, grid.output / ours.run, films)
        (grid.output / RESULTS).write_text(json.dumps(measured, indent=2) + "\n")
    text = render(rows, measured)
    (grid.output / "ablations.txt").write_text(text + "\n")
    return text


def measure_appearance(grid: Grid, config: Config, run: Path) -> Figures:
    """Measures PSNR in dB, of all that is painted and of the lips, and FID where there are weights for it; held-out
    frames."""
    options = config.options("appearance", AppearanceOptions, hold_out=grid.hold_out)
    kept = ClipStore(list(grid.data), hold_out=grid.hold_out, held_out=True)
    task = AppearanceTask(config.preset, options, ClipStore(list(grid.data), hold_out=grid.hold_out), kept)
    load_into(task.averaged, run / WEIGHTS, "appearance")
    task.averaged.eval()
    examples = task.held_out
    assert examples is not None
    features = None if grid.inception is None else load_inception(grid.inception)
    sets = Gaussian(2048), Gaussian(2048)
    totals: dict[str, list[float]] = {}
    for first in range(0, grid.rows, 8):
        batch = examples.collate([examples.draw(0, row) for row in range(first, min(first + 8, grid.rows))])
        with torch.inference_mode():
            for name, value in task.validate(batch).items():
                totals.setdefault(name, []).append(float(value))
            if features is not None:
                for gaussian, pictures in zip(sets, task.painted(batch), strict=True):
                    gaussian.add(features(pictures).numpy())
    figures = {name: float(np.mean(totals[name])) for name in ("psnr", "mouth_psnr")}
    if features is not None:
        figures["fid"] = frechet_distance(*sets)
    return figures


def _measure_motion(grid: Grid, run: Path, appearance: Path, films: Sequence[Path]) -> Figures:
    """Averages the whole engine's figures over the held-out films."""
    folder = run / "preset"
    compose(grid.output / "identity", run, appearance, folder, force=True)
    judges = Judges.load(grid.syncnet, grid.arcface, None, None)
    pipeline = load(folder, device=grid.device)
    report = evaluate(jobs_of_clips(films, unpaired=False), judges, pipeline=pipeline)
    if not report.scored:
        raise DataError(f"{run}: none of {len(films)} held-out clips could be scored: {report.clips[0].failed}")
    names = {
        "sync_dist": "lse_d",
        "id_sim": "id_similarity",
        "correlation": "correlation",
        "range_ratio": "range_ratio",
        "mouth_lmd": "mouth_lmd",
    }
    similarities = [1 - line[_HELD_OUT_ID] for line in read_curve(run) if _HELD_OUT_ID in line]
    figures = {"landmark_id": similarities[-1]}
    for name, key in names.items():
        values = [clip.scores[key] for clip in report.scored if not np.isnan(clip.scores.get(key, np.nan))]
        if values:
            figures[name] = float(np.mean(values))
    return figures


def _films(grid: Grid) -> list[Path]:
    """Writes the held-out clips as films, the longest first."""
    store = ClipStore(list(grid.data), hold_out=grid.hold_out, held_out=True, cache_bytes=0)
    folder = grid.output / "films"
    folder.mkdir(parents=True, exist_ok=True)
    longest = sorted(range(len(store)), key=lambda index: -store.entries[index].frames)[: grid.clips]
    films = []
    for index in longest:
        path = folder / f"{store.entries[index].key}.mkv"
        if not path.exists():
            write_film(store, index, path)
        films.append(path)
    return films


def write_film(store: ClipStore, index: int, path: Path) -> None:
    """Writes one prepared clip, pictures and sound as they are stored, as a film that any program plays."""
    part = path.with_name(f".{path.name}")
    members = [store.member(index, name) for name in ("mp4", "flac")]
    with av.open(str(part), "w", format="matroska") as film:
        sources = [av.open(member, "r") for member in members]
        try:
            streams = [film.add_stream_from_template(source.streams[0]) for source in sources]
            packets = [
                (float(packet.dts * packet.time_base), number, packet)
                for number, source in enumerate(sources)
                for packet in source.demux()
                if packet.dts is not None and packet.time_base is not None
            ]
            for _, number, packet in sorted(packets, key=lambda one: one[:2]):
                packet.stream = streams[number]
                film.mux(packet)
        finally:
            for source in sources:
                source.close()
    part.replace(path)


def _read(path: Path) -> dict[str, Figures]:
    if not path.exists():
        return {}
    stored: dict[str, Figures] = json.loads(path.read_text())
    return stored
