"""Measures how many sampling steps are worth their time: motion quality over 1 to 50 DDIM steps, presets side by
side.

    python -m benchmarks.models.steps CLIP... [--preset NAME_OR_FOLDER ...] [--steps 1 2 4 8 50] [--profile balanced]
        [--seeds 2] [--json FILE]

Each clip speaks its own sound; stage 1 alone runs, as a live session runs it, and its landmarks are held against the
tracked ones. Canonical units throughout: 1 is the distance between the eyes. Give clips that nothing was trained on.
A preset's default is the fewest steps that are not worse than 50 in error and r, and lose little range.

    error    mean distance of the 40 lip points to the tracked ones; above the table: that of a mouth which never moves
    r        correlation of lip aperture with the tracked one
    range    standard deviation of aperture, ours / tracked: as streamed, which is scaled towards the person's own range
    raw      the same for what the model gives, unscaled: below 1 it tends to the mean
    seam     lip jerk at window borders / inside, beside what chance would give (mytalk.evaluation.seams)
    to 50    distance of the lips, unscaled, to those of the first preset's largest step count for the same noise
    noise    distance of the lips, unscaled, between two noises: 0 is a model that knows one answer only
    ms       of CPU time a hop, on one thread, 250 frames remembered: denoiser and sampler, no speech encoder
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

import mytalk
from mytalk import Pipeline
from mytalk.evaluation.motion import Lips, LipTrack
from mytalk.evaluation.seams import seam_score
from mytalk.evaluation.sync import Curve, correlation
from mytalk.face import FaceTracker, PoseFilter, fit_pose
from mytalk.face.landmarks import LIPS, LOWER_COUNT, UPPER_COUNT, aperture
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.motion.conditions import Conditions, MotionRequest
from mytalk.motion.person import Person
from mytalk.motion.stream import MotionStream
from mytalk.motion.windows import Window
from mytalk.presets import PROFILES, Profile
from mytalk.training.data.shots import Part, probe, shots, sound

ENROL = 3 * SAMPLE_RATE
_TIMED_HOPS = 15
_HEAD = f"{'preset':24} steps   error      r  range   raw  seam  (may)  to {{:<4}}   noise ms a hop"
_LIPS = slice(0, len(LIPS))  # of a lower face


@dataclass(frozen=True, slots=True)
class Film:
    """Holds a tracked clip: canonical faces ``(478, 3)`` with their media times, and the lips that were filmed."""

    name: str
    faces: list[tuple[int, NDArray[np.float32] | None]]
    sound: NDArray[np.float32]
    lips: Lips  # (T, 40, 2) at 25 Hz, NaN where there is no face
    aperture: Curve  # (T,)

    @property
    def still_error(self) -> float:
        """Computes the error of a mouth held at the film's mean shape."""
        return distance(self.lips, np.broadcast_to(np.nanmean(self.lips, axis=0), self.lips.shape))


@dataclass(frozen=True, slots=True)
class Motion:
    """Holds what stage 1 made of a film: as streamed, and before it was scaled, limited and gated. 25 Hz."""

    lips: Lips
    aperture: Curve
    raw_lips: Lips
    raw_aperture: Curve


@dataclass(frozen=True, slots=True)
class Row:
    """Holds one line of the table; NaN where there was nothing to measure."""

    error: float
    correlation: float
    range_ratio: float
    raw_range_ratio: float
    seam: float
    seam_chance: float
    to_reference: float
    noise_spread: float
    ms: float = float("nan")


class _Recorded(MotionStream):
    """Keeps the shapes as the model gave them beside those that leave the stream."""

    def __init__(self, *conditions: Any, **named: Any) -> None:
        super().__init__(*conditions, **named)
        self.raw: list[NDArray[np.float32]] = []

    def _shape(self, row: NDArray[np.float32], share: float, person: Person) -> NDArray[np.float32]:
        assert person.lower is not None
        self.raw.append(person.lower + self._model.space.decode(row))
        return super()._shape(row, share, person)


def film_of(path: Path) -> Film:
    found = probe(path)
    tracker, track, poses = FaceTracker(), LipTrack(), PoseFilter()
    faces: list[tuple[int, NDArray[np.float32] | None]] = []
    for shot in shots(path, found, Part(0, 0, None)):
        face = tracker(shot.picture)
        track.push(shot.at, face)
        if face is None:
            poses.reset()
        faces.append((shot.at, None if face is None else poses(fit_pose(face), shot.at).to_canonical(face.points)))
    heard = sound(path, found, 0, track.frames * FRAME_SAMPLES)
    return Film(path.stem, faces, heard, track.lips(track.frames), track.curve(track.frames))


def speak(pipeline: Pipeline, film: Film, profile: Profile, steps: int, seed: int) -> Motion:
    """Runs stage 1 on a film's own sound, enrolled with its first 3 s as ``mytalk dub`` does."""
    stream = _Recorded(pipeline.motion, profile, steps=steps, seed=seed)
    stream.enrol([points for at, points in film.faces if points is not None and at < ENROL])
    for at, points in film.faces:
        stream.push_face(at, points)
    stream.push_speech(film.sound)
    frames = [*stream.advance(), *stream.finish()]
    streamed = np.full((len(film.lips), LOWER_COUNT, 2), np.nan, np.float32)
    raw = streamed.copy()
    for frame, shape in zip(frames, stream.raw, strict=True):
        if frame.index < len(streamed):
            streamed[frame.index], raw[frame.index] = frame.lower[:, :2], shape[:, :2]
    return Motion(streamed[:, _LIPS], aperture(streamed), raw[:, _LIPS], aperture(raw))


def distance(a: Lips, b: Lips) -> float:
    """Averages the distance of points over the frames where both are known."""
    return float(np.nanmean(np.linalg.norm(a - b, axis=-1)))


def range_ratio(ours: Curve, true: Curve) -> float:
    known = ~(np.isnan(ours) | np.isnan(true))
    return float(ours[known].std() / max(float(true[known].std()), 1e-6))


def score(film: Film, motions: list[Motion], reference: list[Motion], hop: int) -> Row:
    """Scores the same film with several noises; ``reference`` has the same noises."""
    borders = range(0, len(film.lips), hop)
    seams = [seam_score(motion.lips, borders) for motion in motions]
    others = [distance(a.raw_lips, b.raw_lips) for i, a in enumerate(motions) for b in motions[:i]]
    return Row(
        _mean(distance(motion.lips, film.lips) for motion in motions),
        _mean(correlation(motion.aperture, film.aperture) for motion in motions),
        _mean(range_ratio(motion.aperture, film.aperture) for motion in motions),
        _mean(range_ratio(motion.raw_aperture, film.aperture) for motion in motions),
        _mean(seam.ratio for seam in seams),
        _mean(seam.chance[1] for seam in seams),
        _mean(distance(a.raw_lips, b.raw_lips) for a, b in zip(motions, reference, strict=True)),
        _mean(others),
    )


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def hop_ms(pipeline: Pipeline, profile: Profile, steps: int) -> float:
    """Measures the median CPU time of sampling one hop, a full window remembered, warm, in milliseconds."""
    sizes, random = pipeline.preset.motion, np.random.default_rng(0)
    shape = (1, 2 * profile.hop + profile.lookahead)
    memory = pipeline.motion.memory()
    memory.end = memory.frames = start = sizes.window
    conditions = Conditions(
        random.standard_normal((*shape, pipeline.preset.speech.width), np.float32),
        np.zeros((*shape, UPPER_COUNT, 2), np.float32),
        pipeline.motion.person(np.zeros((LOWER_COUNT, 3), np.float32), np.zeros((UPPER_COUNT, 3), np.float32)),
        np.zeros((*shape, sizes.coefficients), np.float32),
        (np.arange(shape[1]) < profile.hop)[None],
        past=memory.past(start),
    )
    noise = random.standard_normal((*shape, sizes.coefficients), np.float32)
    emit = range(start + profile.hop, start + 2 * profile.hop)
    first = emit.stop + profile.lookahead - sizes.window
    window = Window(first, sizes.window, emit.start - first, emit, 0)
    request, times = MotionRequest(window, noise, conditions, steps), []
    for _ in range(_TIMED_HOPS + 2):
        since = time.process_time()
        pipeline.sample([request])
        times.append(time.process_time() - since)
    return float(np.median(times[2:])) * 1e3


def rows_of(
    pipeline: Pipeline,
    films: list[Film],
    arguments: argparse.Namespace,
    references: list[list[Motion]],
    progress: tqdm[Any],
) -> dict[int, dict[str, Row]]:
    """Computes steps -> film -> row, and their mean under ``mean``. Fills ``references`` where it is empty."""
    profile = PROFILES[arguments.profile]
    table: dict[int, dict[str, Row]] = {}
    for steps in sorted(arguments.steps, reverse=True):
        made = []
        for film in films:
            made.append([speak(pipeline, film, profile, steps, seed) for seed in range(arguments.seeds)])
            progress.update()
        references.extend([] if references else made)
        rows = [score(film, own, other, profile.hop) for film, own, other in zip(films, made, references, strict=True)]
        mean = Row(**{field.name: _mean(getattr(row, field.name) for row in rows) for field in fields(Row)})
        named = {film.name: row for film, row in zip(films, rows, strict=True)}
        table[steps] = {**named, "mean": replace(mean, ms=hop_ms(pipeline, profile, steps))}
    return dict(sorted(table.items()))


def line(preset: str, steps: int, row: Row) -> str:
    return (
        f"{preset[-24:]:24} {steps:5} {row.error:7.4f} {row.correlation:6.3f} {row.range_ratio:6.2f} "
        f"{row.raw_range_ratio:5.2f} {row.seam:5.2f} ({row.seam_chance:4.2f}) {row.to_reference:7.4f} "
        f"{row.noise_spread:7.4f} {row.ms:8.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--preset", nargs="+", default=["edge"], help="names or checkpoint folders; the first leads")
    parser.add_argument("--steps", nargs="+", type=int, default=[1, 2, 4, 8, 50])
    parser.add_argument("--profile", default="balanced", choices=sorted(PROFILES))
    parser.add_argument("--seeds", type=int, default=2, help="noises a film is spoken with")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    films = [film_of(path) for path in tqdm(arguments.clips, unit="clip", desc="tracking")]
    references: list[list[Motion]] = []
    tables = {}
    with tqdm(total=len(films) * len(arguments.steps) * len(arguments.preset), unit="film", desc="speaking") as bar:
        for preset in arguments.preset:
            pipeline = mytalk.load(preset, device="cpu")
            tables[preset] = rows_of(pipeline, films, arguments, references, bar)
    still = _mean(film.still_error for film in films)
    print(
        f"{platform.machine()}, one thread, profile {arguments.profile}, {len(films)} clips, {arguments.seeds} noises"
    )
    print(f"error of a mouth that never moves: {still:.4f}")
    print(_HEAD.format(max(arguments.steps)))
    for preset, table in tables.items():
        for steps, rows in table.items():
            print(line(preset, steps, rows["mean"]))
    if arguments.json is not None:
        written = {
            "machine": platform.platform(),
            "profile": arguments.profile,
            "seeds": arguments.seeds,
            "still_error": {film.name: film.still_error for film in films},
            "presets": {
                preset: {steps: {name: asdict(row) for name, row in rows.items()} for steps, rows in table.items()}
                for preset, table in tables.items()
            },
        }
        arguments.json.write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    main()
