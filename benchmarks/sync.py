"""How well the mouth follows the speech: each clip is dubbed with its own sound, and the apertures are compared.

    python benchmarks/sync.py CLIP... [--profile balanced] [--steps N] [--json FILE] [--strips FOLDER]

Scored twice: on the landmarks that stage 1 generates, and on landmarks tracked again in the rendered pictures (before
encoding); the second one counts. Beside them what loudness alone would score. The first 3 s enrol the speaker, as in
``mytalk dub``. Give clips that nothing was trained on.
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

import mytalk
from mytalk import Pipeline, StreamOptions
from mytalk.errors import NoSpeechError
from mytalk.evaluation import SyncScore, sync_score
from mytalk.evaluation.engine import EngineRun
from mytalk.evaluation.films import Film
from mytalk.evaluation.moment import Moment, watch
from mytalk.evaluation.motion import LipTrack
from mytalk.evaluation.sync import correlation, loudness
from mytalk.media_time import FRAME_SAMPLES
from mytalk.presets import PROFILES

COLUMNS = 8


def column_of(moment: Moment) -> NDArray[np.uint8] | None:
    """One moment of a strip: source above, ours below."""
    if moment.face is None:
        return None
    x0, y0, x1, y1 = (int(v) for v in moment.face.box)
    box = moment.true.even_box((x0, y0 + (y1 - y0) // 4, x1, y1 + (y1 - y0) // 8))
    return np.vstack([cv2.resize(picture.region_rgb(box), (240, 220)) for picture in (moment.true, moment.made)])


@dataclass(frozen=True, slots=True)
class Result:
    """One clip's scores."""

    clip: str
    loudness: float
    landmarks: SyncScore
    rendered: SyncScore

    def line(self) -> str:
        cells = [f"{self.clip[:32]:32} {self.loudness:6.2f}"]
        for score in (self.landmarks, self.rendered):
            cells.append(f"{score.correlation:8.3f} {score.lag:+5.1f} {score.range_ratio:6.2f}")
        return "  ".join([*cells, f"{self.rendered.closed_in_silence * 100:6.0f} %"])


def mean_of(scores: list[SyncScore]) -> SyncScore:
    known = [[getattr(score, field.name) for score in scores] for field in fields(SyncScore)]
    return SyncScore(*(float(np.nanmean(values)) if not np.all(np.isnan(values)) else np.nan for values in known))


def score_clip(pipeline: Pipeline, path: Path, options: StreamOptions, strips: Path | None) -> Result:
    film = Film(path)
    sound = film.sound()
    if sound is None:
        raise NoSpeechError(f"{path}: no sound in it (need a film that speaks)")
    frames = len(sound) // FRAME_SAMPLES
    true, ours, columns = LipTrack(), LipTrack(), []
    run = EngineRun(pipeline, film, sound, options, paired=False)
    shown = np.linspace(0, film.expected_frames or 0, COLUMNS + 2).astype(int)[1:-1].tolist()
    for index, moment in enumerate(watch(run)):
        true.push(moment.at, moment.face)
        ours.push(moment.at, moment.made_face)
        column = column_of(moment) if strips is not None and index in shown else None
        columns += [] if column is None else [column]
    if strips is not None and columns:
        strips.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(strips / f"{path.stem}.png"), cv2.cvtColor(np.hstack(columns), cv2.COLOR_RGB2BGR))
    filmed = true.curve(frames)
    asked = sync_score(run.asked.curve(frames), filmed, sound)
    seen = sync_score(ours.curve(frames), filmed, sound)
    return Result(path.stem, correlation(loudness(sound)[:frames], filmed), asked, seen)


def report(results: list[Result]) -> str:
    head = f"{'':32} {'loud':>6}  {'landmarks: r':>8}   lag  range  {'rendered: r':>8}   lag  range   closed in silence"
    landmarks, seen = mean_of([r.landmarks for r in results]), mean_of([r.rendered for r in results])
    mean = Result("mean", float(np.mean([r.loudness for r in results])), landmarks, seen)
    return "\n".join([head, *(result.line() for result in results), mean.line()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--preset", default="edge")
    parser.add_argument("--profile", default="balanced", choices=sorted(PROFILES))
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--strips", type=Path, default=None, help="folder for pictures: source above, ours below")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = mytalk.load(arguments.preset, device="cpu")
    options = StreamOptions(seed=arguments.seed, steps=arguments.steps, profile=arguments.profile)
    results = [score_clip(pipeline, path, options, arguments.strips) for path in tqdm(arguments.clips, unit="clip")]
    steps = options.steps or pipeline.steps
    print(f"{platform.machine()}, preset {pipeline.preset.name}, profile {options.profile}, {steps} steps")
    print(report(results))
    if arguments.json is not None:
        clips = [asdict(result) for result in results]
        written = {"machine": platform.platform(), "options": asdict(options), "steps": steps, "clips": clips}
        arguments.json.write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main()
