"""Measures how the mouth follows speech: stage 1 of one or more weights, without a pixel, on films not trained on.

    python -m benchmarks.quality.hearing CLIP... [--weights edge FOLDER...] [--profiles balanced] [--json FILE]

Correlation of the lip aperture that stage 1 asks for with a filmed one, for each weights and profile:

    own        the clip speaks its own sound: with the filmed mouth; best lag, range (ours / true), frames closed in
               silence, and the mean distance of the 40 lip points over that of the eyes
    noisy      the same with pink noise 10 dB below the speech: correlation alone
    noise      it hears a steady noise: what is left is read off the filmed nose and cheeks
    next       it speaks what the next clip says: with the mouth of who says it ("speaker"), which is what a dub is
               for, and with its own film ("film"), which a dub must not follow

The first 3 s enrol (1.5 s of a clip up to 4 s). ``--weights`` are presets, checkpoint folders or motion runs.
``quality.py`` scores the same in the rendered film.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mytalk.errors import NoSpeechError
from mytalk.evaluation.engine import enrolment_of
from mytalk.evaluation.filmed import Filmed, track_film
from mytalk.evaluation.first_stage import FirstStage, RequestedMotion, in_noise, request_motion, steady_noise
from mytalk.evaluation.sync import correlation, sync_score
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.torch_backend import TorchMotion
from mytalk.presets import PROFILES
from mytalk.stream_options import StreamOptions
from mytalk.torch_backend import load_motion

_BELOW = 10.0  # dB: noise under speech


@dataclass(frozen=True, slots=True)
class Row:
    """Holds one clip's figures, or their means."""

    own: float
    lag: float
    range: float
    closed: float
    lips: float
    noisy: float
    noise: float
    speaker: float
    film: float

    def line(self, name: str) -> str:
        own = f"{self.own:6.3f} {self.lag:+5.1f} {self.range:6.2f} {self.closed * 100:6.0f}% {self.lips:8.4f}"
        return f"{name:36} {own} {self.noisy:8.3f} {self.noise:8.3f} {self.speaker:9.3f} {self.film:7.3f}"


COLUMNS = [("own r", 6), ("lag", 5), ("range", 6), ("closed", 7), ("lips", 8), ("noisy", 8), ("noise", 8)]
HEAD = " " * 36 + "".join(f" {name:>{width}}" for name, width in [*COLUMNS, ("speaker", 9), ("film", 7)])


def score(model: TorchMotion, clip: Filmed, other: Filmed, options: StreamOptions, steps: int) -> Row:
    assert clip.sound is not None
    assert other.sound is not None
    tracked = list(zip(clip.at, clip.faces, strict=True))

    def requested(sound: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> RequestedMotion:
        stage = FirstStage(model, steps, options)
        return request_motion(stage, tracked, sound, enrolment_of(clip.film, paired=True))

    frames = len(clip.sound) // FRAME_SAMPLES
    filmed = clip.shapes.until(frames)
    own = requested(clip.sound)
    sync = sync_score(own.curve(frames), filmed.aperture, clip.sound)
    apart = np.linalg.norm(own.shapes(frames)[: len(filmed.lips)] - filmed.lips, axis=-1)
    noisy = requested(in_noise(clip.sound, _BELOW)).curve(frames)
    noise = requested(steady_noise(len(clip.sound) + 25 * FRAME_SAMPLES)).curve(frames)
    both = min(len(filmed.aperture), len(other.shapes.aperture), len(other.sound) // FRAME_SAMPLES)
    dubbed = requested(other.sound).curve(both)
    return Row(
        sync.correlation,
        sync.lag,
        sync.range_ratio,
        sync.closed_in_silence,
        float(np.nanmean(apart)),
        correlation(noisy[: len(filmed.aperture)], filmed.aperture),
        correlation(noise[: len(filmed.aperture)], filmed.aperture),
        correlation(dubbed, other.shapes.aperture[:both]),
        correlation(dubbed, filmed.aperture[:both]),
    )


def mean_of(rows: list[Row]) -> Row:
    columns = np.array([list(asdict(row).values()) for row in rows], np.float64)
    known = ~np.isnan(columns)
    means = np.where(known, columns, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return Row(*(float(mean) if count else float("nan") for mean, count in zip(means, known.sum(axis=0), strict=True)))


def looked_through(paths: list[Path]) -> Iterator[Filmed]:
    for path in tqdm(paths, unit="clip", desc="tracking"):
        clip = track_film(path)
        if clip.sound is None:
            raise NoSpeechError(f"{path}: no sound in it (need a film that speaks)")
        yield clip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--weights", nargs="+", default=["edge"], metavar="FOLDER")
    parser.add_argument("--profiles", nargs="+", default=["balanced"], choices=sorted(PROFILES))
    parser.add_argument("--steps", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    clips = list(looked_through(arguments.clips))
    written = []
    print(f"{platform.machine()}, {arguments.steps} steps\n{HEAD}")
    for weights in arguments.weights:
        run = Path(weights) / "weights"  # of a motion run
        model = TorchMotion(load_motion(run if run.is_dir() else weights).eval())
        for profile in arguments.profiles:
            options = StreamOptions(seed=arguments.seed, profile=profile)
            rows = []
            for clip, other in zip(clips, [*clips[1:], clips[0]], strict=True):
                rows.append(score(model, clip, other, options, arguments.steps))
                print(rows[-1].line(f"  {clip.name[:34]}"), flush=True)
                written.append({"weights": weights, "profile": profile, "clip": clip.name, **asdict(rows[-1])})
            print(mean_of(rows).line(f"{Path(weights).name} {profile}"), flush=True)
    if arguments.json is not None:
        names = [field.name for field in fields(Row)]
        record = {"machine": platform.platform(), "steps": arguments.steps, "figures": names, "rows": written}
        arguments.json.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
