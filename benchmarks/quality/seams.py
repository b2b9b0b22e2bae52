"""Measures how visible the borders of windows are, with history, noise ring and crossfade on and off.

    python -m benchmarks.quality.seams [CLIP...] [--profile low balanced quality] [--steps 1] [--times 3] [--json FILE]
        [--plot FILE.svg]

Stage 1 runs on speech as a live session runs it; each clip speaks its own sound, and without clips the embedded
portrait speaks the embedded speech. Each talk is spoken ``--times`` times with other noise, every time one motion frame
later, so that windows meet elsewhere. Three things are switched off in turn, all together and each alone:

    history    frames before the hop are given clean; off: the model is given no history, and draws them anew
    ring       noise is a function of the frame's number; off: every window has noise of its own
    crossfade  a window fades in from the look-ahead of the window before it; off: it begins at once

    seam     lip jerk at window borders over jerk inside, mean over clips and noises (mytalk.evaluation.seams)
    median   the same of medians, which a few quick lips do not move
    (may)    up to where the ratio lies by chance, were the borders anywhere: 95 %
    inside   lip jerk inside windows, in 1/1000 of the distance between the eyes: what smoothing would lower
    r        correlation of lip aperture with that of everything on: how much the mouth still says the same
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from html import escape
from importlib.resources import files
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

import mytalk
from benchmarks.models.steps import ENROL, film_of
from mytalk import Pipeline
from mytalk.evaluation.seams import seam_score
from mytalk.evaluation.sync import correlation
from mytalk.face import FaceTracker, fit_pose
from mytalk.face.landmarks import LIPS, LOWER_COUNT, aperture
from mytalk.media import open_face
from mytalk.media.speech import SpeechReader
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.conditions import MotionRequest, SampledMotion
from mytalk.motion.sampler import frame_noise
from mytalk.motion.stream import MotionFrame, MotionStream
from mytalk.motion.windows import Window
from mytalk.presets import PROFILES, Profile

ASSETS = Path(str(files("mytalk") / "assets"))
GOAL = 1.1
NAMES = ("history", "ring", "crossfade")
_BAR, _ROW, _LEFT, _RIGHT = 14, 20, 220, 60  # of the plot, pixels
_WIDTH, _MOST = 420, 2.0  # pixels, and the ratio that they stand for


@dataclass(frozen=True, slots=True)
class Talk:
    """Holds what is said, and the canonical faces ``(478, 3)`` of who says it, with their media times."""

    name: str
    speech: NDArray[np.float32]
    faces: list[tuple[int, NDArray[np.float32] | None]]

    def later(self, frames: int) -> Talk:
        """Delays by so many motion frames of silence: windows meet at other places of what is said."""
        wait = frames * FRAME_SAMPLES
        speech = np.concatenate([np.zeros(wait, np.float32), self.speech])
        return Talk(self.name, speech, [(at + wait, points) for at, points in self.faces])


@dataclass(frozen=True, slots=True)
class Means:
    """Says which of the three are on."""

    history: bool = True
    ring: bool = True
    crossfade: bool = True

    def __str__(self) -> str:
        on = [name for name in NAMES if getattr(self, name)]
        return "all on" if len(on) == len(NAMES) else " + ".join(on) or "none"


@dataclass(frozen=True, slots=True)
class Row:
    """Holds one line of the table."""

    seam: float
    median: float
    chance: float
    inside: float
    correlation: float


class _Without(MotionStream):
    """Streams motion that lacks some of the means."""

    def __init__(self, pipeline: Pipeline, profile: Profile, means: Means, steps: int, seed: int) -> None:
        super().__init__(pipeline.motion, profile, steps=steps, seed=seed)
        self._means = means

    def _prepare(self, window: Window) -> MotionRequest | None:
        request = super()._prepare(window)
        if request is None:
            return None
        conditions, first = request.conditions, request.first
        start = window.emit.start if self._means.history else first
        if not self._means.history:
            unknown = np.zeros_like(conditions.known), np.zeros_like(conditions.history)
            past = conditions.past and conditions.past._replace(frames=0)
            conditions = replace(conditions, known=unknown[0], history=unknown[1], past=past)
        # A window of its own noise: the number of its first emitted frame stands beside the seed.
        seed = self.seed if self._means.ring else hash((self.seed, window.emit.start)) % 2**64
        noise = np.zeros(request.noise.shape[1:], np.float32)
        noise[start - first :] = frame_noise(start, len(noise) - (start - first), noise.shape[1], seed)
        return replace(request, conditions=conditions, noise=noise[None])

    def accept(self, request: MotionRequest, sampled: SampledMotion) -> list[MotionFrame]:
        if not self._means.crossfade:
            self._tentative.clear()
        return super().accept(request, sampled)


def talks(clips: list[Path]) -> list[Talk]:
    """Reads the clips' own talks, or the embedded ones."""
    if clips:
        films = [film_of(path) for path in tqdm(clips, unit="clip", desc="tracking")]
        return [Talk(film.name, film.sound, film.faces) for film in films]
    picture = next(open_face(ASSETS / "astronaut.png").frames(endless=True)).picture
    tracker = FaceTracker()
    face = tracker(picture)
    assert face is not None
    points = fit_pose(face).to_canonical(face.points)
    speech = np.concatenate(list(SpeechReader(ASSETS / "demo_speech.flac").samples()))
    return [Talk("embedded", speech, [(at, points) for at in range(0, len(speech), FRAME_SAMPLES)])]


def speak(pipeline: Pipeline, talk: Talk, profile: Profile, means: Means, steps: int, seed: int) -> NDArray[np.float32]:
    """Returns the lower face ``(T, 169, 3)`` at 25 Hz, NaN where there is none."""
    stream = _Without(pipeline, profile, means, steps, seed)
    stream.enrol([points for at, points in talk.faces if points is not None and at < ENROL])
    for at, points in talk.faces:
        stream.push_face(at, points)
    stream.push_speech(talk.speech)
    lower = np.full((len(talk.speech) // FRAME_SAMPLES, LOWER_COUNT, 3), np.nan, np.float32)
    for frame in stream.advance():  # not to its end: the last hops have no look-ahead
        lower[frame.index] = frame.lower
    return lower


def score(motions: list[NDArray[np.float32]], whole: list[NDArray[np.float32]], hop: int) -> Row:
    """Scores the same talks with and without; ``whole`` has everything on."""
    seams = [seam_score(lower[:, : len(LIPS), :2], range(0, len(lower), hop)) for lower in motions]
    return Row(
        _mean(seam.ratio for seam in seams),
        _mean(seam.median_ratio for seam in seams),
        _mean(seam.chance[1] for seam in seams),
        1000 * _mean(seam.inside for seam in seams),
        _mean(correlation(aperture(a), aperture(b)) for a, b in zip(motions, whole, strict=True)),
    )


def _mean(values: Iterable[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def plot(tables: dict[str, dict[str, Row]], steps: int) -> str:
    """Draws one bar a row, and a line at the ratio that cannot be seen."""
    height = sum(_ROW * (len(rows) + 2) for rows in tables.values()) + _ROW
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + _RIGHT}" height="{height}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="white"/>'
    ]
    y = _ROW
    for profile, rows in tables.items():
        svg.append(f'<text x="8" y="{y + 11}" font-weight="bold">{escape(profile)}, {steps} step(s): seam ratio</text>')
        top = y = y + _ROW
        for name, row in rows.items():
            width = _WIDTH * min(row.seam, _MOST) / _MOST
            colour = "#2a7f62" if row.seam <= GOAL else "#c2543d"
            svg.append(f'<text x="{_LEFT - 8}" y="{y + 11}" text-anchor="end">{escape(name)}</text>')
            svg.append(f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>')
            svg.append(f'<text x="{_LEFT + width + 6:.1f}" y="{y + 11}">{row.seam:.3f}</text>')
            y += _ROW
        at = _LEFT + _WIDTH * GOAL / _MOST
        svg.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top - 4}" y2="{y}" stroke="#333" stroke-dasharray="3 3"/>')
        y += _ROW
    return "\n".join([*svg, "</svg>\n"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--preset", default="edge")
    parser.add_argument("--profile", nargs="+", default=["balanced"], choices=sorted(PROFILES))
    parser.add_argument("--steps", type=int, default=None, help="of sampling; the preset's without it")
    parser.add_argument("--times", type=int, default=3, help="how often each talk is spoken")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="an SVG")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = mytalk.load(options.preset, device="cpu")
    steps = options.steps or pipeline.steps
    spoken = [(talk.later(time), time) for talk in talks(options.clips) for time in range(options.times)]
    kinds = sorted((Means(*on) for on in product((True, False), repeat=3)), key=lambda one: -sum(asdict(one).values()))
    tables: dict[str, dict[str, Row]] = {}
    with tqdm(total=len(options.profile) * len(kinds) * len(spoken), unit="talk", desc="speaking") as bar:
        for name in options.profile:
            profile, whole, tables[name] = PROFILES[name], [], {}
            for means in kinds:
                generated = []
                for talk, seed in spoken:
                    generated.append(speak(pipeline, talk, profile, means, steps, seed))
                    bar.update()
                whole = whole or generated
                tables[name][str(means)] = score(generated, whole, profile.hop)
    print(f"{platform.machine()}, {len(spoken)} talks, {steps} sampling step(s); goal {GOAL} or less, 1 = invisible")
    for name, rows in tables.items():
        print(f"\n{name:24}  seam  (may)  median  inside      r")
        for kind, row in rows.items():
            figures = f"{row.seam:5.3f} ({row.chance:4.2f}) {row.median:7.2f} {row.inside:7.2f} {row.correlation:6.3f}"
            print(f"{kind:24} {figures}")
    if options.json is not None:
        rows = {name: {kind: asdict(row) for kind, row in rows.items()} for name, rows in tables.items()}
        written = {"machine": platform.platform(), "steps": steps, "goal": GOAL, "profiles": rows}
        options.json.write_text(json.dumps(written, indent=2) + "\n")
    if options.plot is not None:
        options.plot.write_text(plot(tables, steps))


if __name__ == "__main__":
    main()
