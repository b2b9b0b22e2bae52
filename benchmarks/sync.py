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

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

import mytalk
from mytalk import Picture, Pipeline, StreamOptions, VideoFrame
from mytalk.evaluation import SyncScore, sync_score
from mytalk.evaluation.sync import correlation, loudness
from mytalk.face import Face, FaceTracker, PoseFilter, fit_pose
from mytalk.face.landmarks import LOWER_FACE, aperture
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.motion.stream import MotionStream
from mytalk.presets import PROFILES
from mytalk.training.clips import Clip, read_clip

ENROL = 3 * SAMPLE_RATE
Curve = NDArray[np.float32]
Rows = list[tuple[VideoFrame, Face | None]]


def frames_of(path: Path, clip: Clip) -> Rows:
    """The clip's pictures from its first sound on, with their tracked faces."""
    rows = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for frame, at, points in zip(container.decode(stream), clip.at, clip.points, strict=False):
            face = None if np.isnan(points).any() else Face(points)
            if at >= 0 and frame.pts is not None and frame.time_base is not None:
                rows.append((VideoFrame(Picture.from_av(frame), int(at), frame.pts, frame.time_base), face))
    return rows


def curve_of(rows: list[tuple[int, Face | None]], frames: int) -> Curve:
    """Aperture at 25 Hz from faces at any rate; NaN where there is none."""
    poses, times, gaps = PoseFilter(), [], []
    for at, face in rows:
        if face is None:
            poses.reset()
        times.append(at)
        lower = None if face is None else poses(fit_pose(face), at).to_canonical(face.points)[list(LOWER_FACE)]
        gaps.append(np.nan if lower is None else float(aperture(lower)))
    return np.interp(np.arange(frames) * FRAME_SAMPLES, times, gaps).astype(np.float32)


def generated(pipeline: Pipeline, rows: Rows, sound: Curve, options: StreamOptions) -> Curve:
    """The aperture that stage 1 asks for, one a motion frame."""
    steps = options.steps or pipeline.steps
    stream = MotionStream(pipeline.motion, PROFILES[options.profile], steps=steps, seed=options.seed)
    poses = PoseFilter()
    shapes = [
        (f.at, None if face is None else poses(fit_pose(face), f.at).to_canonical(face.points)) for f, face in rows
    ]
    stream.enrol([points for at, points in shapes if points is not None and at < ENROL])
    for at, points in shapes:
        stream.push_face(at, points)
    stream.push_speech(sound)
    curve = np.full(len(sound) // FRAME_SAMPLES, np.nan, np.float32)
    for frame in [*stream.advance(), *stream.finish()]:
        curve[frame.index] = aperture(frame.lower)
    return curve


def rendered(pipeline: Pipeline, rows: Rows, sound: Curve, options: StreamOptions) -> list[VideoFrame]:
    stream = pipeline.stream(options)
    stream.enrol([(frame.picture, face) for frame, face in rows if face is not None and frame.at < ENROL])
    out: list[VideoFrame] = []
    for frame, face in rows:
        stream.push_frame(frame, face)
        until = frame.at + stream.latency + FRAME_SAMPLES
        part = sound[stream.speech_samples : until]
        stream.push_speech(np.pad(part, (0, max(0, until - stream.speech_samples - len(part)))))
        out += stream.pull()
    stream.finish()
    return out + list(stream.pull())


def strip(rows: Rows, out: list[VideoFrame], path: Path) -> None:
    """Eight moments: source above, ours below."""
    columns = []
    for index in np.linspace(0, len(rows) - 1, 10).astype(int)[1:-1]:
        (frame, face), ours = rows[index], out[index]
        if face is None:
            continue
        x0, y0, x1, y1 = (int(v) for v in face.box)
        box = frame.picture.even_box((x0, y0 + (y1 - y0) // 4, x1, y1 + (y1 - y0) // 8))
        pair = [cv2.resize(picture.region_rgb(box), (240, 220)) for picture in (frame.picture, ours.picture)]
        columns.append(np.vstack(pair))
    cv2.imwrite(str(path), cv2.cvtColor(np.hstack(columns), cv2.COLOR_RGB2BGR))


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
    clip = read_clip(path)
    rows, frames = frames_of(path, clip), len(clip.sound) // FRAME_SAMPLES
    true = curve_of([(frame.at, face) for frame, face in rows], frames)
    asked = sync_score(generated(pipeline, rows, clip.sound, options), true, clip.sound)
    out = rendered(pipeline, rows, clip.sound, options)
    tracker = FaceTracker()
    seen = sync_score(curve_of([(frame.at, tracker(frame.picture)) for frame in out], frames), true, clip.sound)
    tracker.close()
    if strips is not None:
        strips.mkdir(parents=True, exist_ok=True)
        strip(rows, out, strips / f"{path.stem}.png")
    return Result(path.stem, correlation(loudness(clip.sound)[: len(true)], true), asked, seen)


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
