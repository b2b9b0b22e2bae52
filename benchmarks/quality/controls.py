"""Measures what controls do to the mouth that stage 1 asks for, and what they cost: no pixel is drawn.

    python -m benchmarks.quality.controls [CLIP...] [--json FILE]

The embedded portrait speaks the sample speech; each CLIP, of people nothing was trained on, speaks its own sound. Rows
are means over them. Columns, against the same mouth without controls: ``r`` correlation of lip apertures, ``spread``
ratio of their standard deviations, ``kept`` share of closed frames that stay closed, ``width`` and ``corners`` change
in eye distances (corners above 0 are raised). Then: greatest error at pins, the least correlation between three takes,
and CPU time a frame of all controls of the mouth together.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mytalk
from benchmarks.clips import ASSETS, SPEECH
from mytalk.controls import Controls
from mytalk.controls.key_motions import pinned
from mytalk.controls.mouth import Mouth
from mytalk.controls.pins import SHAPES, decode_pins
from mytalk.controls.stages import shaped
from mytalk.controls.values import EMOTIONS
from mytalk.evaluation.filmed import track_film
from mytalk.evaluation.sync import CLOSED
from mytalk.face import Face, FaceTracker, fit_pose
from mytalk.face.landmarks import CORNERS, aperture
from mytalk.media import SpeechReader, open_face
from mytalk.media_time import FRAME_SAMPLES
from mytalk.motion.stream import MotionStream
from mytalk.pipeline import Pipeline
from mytalk.presets import PROFILES

Shapes = NDArray[np.float32]

CASES: dict[str, dict[str, Any]] = {
    **{f"emotion {label}": {"emotion": label} for label in EMOTIONS[1:]},
    "emotion happy x 1.5": {"emotion": "happy", "intensity": 1.5},
    **{f"articulation {value:g}": {"articulation": value} for value in (0, 0.25, 0.75, 1)},
    **{f"motion_scale {value:g}": {"motion_scale": value} for value in (0.5, 1.5)},
    "lip_weight 1.5": {"lip_weight": 1.5},
    "expression_weight 0": {"expression_weight": 0.0},
    "mouth_opening 1.5": {"mouth_opening": 1.5},
}
ALL: dict[str, Any] = {
    **{"motion_scale": 1.1, "lip_weight": 1.1, "expression_weight": 0.9, "articulation": 0.8, "mouth_opening": 1.1},
    **{"emotion": "happy", "intensity": 0.8, "key_motions": decode_pins("1:smile:0.2 2:round:0.2")},
}


def mouths_of(pipeline: Pipeline, faces: list[Face | None], speech: Shapes, seed: int = 0) -> list[Mouth]:
    """Returns the mouths that stage 1 asks for: ``faces`` one a motion frame, the last of them held."""
    motion = MotionStream(pipeline.motion, PROFILES["offline"], steps=pipeline.steps, seed=seed)
    seen = [None if face is None else fit_pose(face).to_canonical(face.points) for face in faces]
    motion.enrol([points for points in seen[:75] if points is not None])
    frames = []
    for index in range(len(speech) // FRAME_SAMPLES):
        motion.push_face(index * FRAME_SAMPLES, seen[min(index, len(seen) - 1)])
        motion.push_speech(speech[index * FRAME_SAMPLES : (index + 1) * FRAME_SAMPLES])
        frames += list(motion.advance())
    frames += list(motion.finish())
    space = pipeline.motion.space
    return [Mouth(one.lower, one.rest, one.voice, one.index * FRAME_SAMPLES, space) for one in frames]


def shapes_of(mouths: list[Mouth], controls: Controls) -> Shapes:
    return np.stack([shaped(mouth, controls) for mouth in mouths])


def compare(mouths: list[Mouth], controls: Controls) -> tuple[float, ...]:
    """Returns the columns of one row."""
    before, after = shapes_of(mouths, Controls()), shapes_of(mouths, controls)
    gaps, moved = aperture(before), aperture(after)
    closed = gaps < CLOSED
    kept = float((moved[closed] < CLOSED).mean()) if closed.any() else float("nan")
    wide = [np.linalg.norm(one[:, CORNERS[1], :2] - one[:, CORNERS[0], :2], axis=1).mean() for one in (before, after)]
    high = [(one[:, :40, 1].mean(axis=1) - one[:, list(CORNERS), 1].mean(axis=1)).mean() for one in (before, after)]
    r, spread = float(np.corrcoef(gaps, moved)[0, 1]), float(moved.std() / gaps.std())
    return r, spread, kept, float(wide[1] - wide[0]), float(high[1] - high[0])


def pin_error(mouths: list[Mouth]) -> float:
    """Returns the greatest distance of any point from a pinned shape, over all shapes."""
    mouth = mouths[len(mouths) // 2]
    errors = []
    for name in SHAPES:
        held = Controls(key_motions=decode_pins(f"{mouth.at / 16_000:.10g}:{name}"))
        errors.append(float(np.abs(shaped(mouth, held) - pinned(mouth, name)).max()))
    return max(errors)


def cost(mouths: list[Mouth]) -> float:
    """Returns milliseconds of CPU time a frame of all controls together."""
    controls = Controls(**ALL)
    shapes_of(mouths[:10], controls)
    begun = time.thread_time()
    shapes_of(mouths, controls)
    return 1000 * (time.thread_time() - begun) / len(mouths)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    pipeline = mytalk.load("edge", device="cpu")
    portrait = FaceTracker()(next(open_face(ASSETS / "astronaut.png").frames(endless=True)).picture)
    sample = np.concatenate(list(SpeechReader(SPEECH).samples()))
    people = [mouths_of(pipeline, [portrait], sample)]
    for clip in map(track_film, arguments.clips):
        assert clip.sound is not None
        people.append(mouths_of(pipeline, list(clip.faces), clip.sound))
    print(
        f"{platform.machine()}, {len(people)} people\n{'':22}{'r':>8}{'spread':>8}{'kept':>8}{'width':>8}{'corners':>9}"
    )
    written: dict[str, Any] = {"people": len(people), "machine": platform.platform()}
    for name, values in CASES.items():
        row = np.nanmean([compare(mouths, Controls(**values)) for mouths in people], axis=0)
        written[name] = row.tolist()
        print(f"{name:22}{row[0]:8.3f}{row[1]:8.2f}{row[2]:8.2f}{row[3]:+8.3f}{row[4]:+9.3f}", flush=True)
    takes = [aperture(shapes_of(mouths_of(pipeline, [portrait], sample, seed), Controls())) for seed in range(3)]
    written["takes"] = float(np.corrcoef(takes).min())
    written["pins"] = max(map(pin_error, people))
    written["ms"] = cost(people[0])
    print(f"three takes: apertures correlate {written['takes']:.3f} at least")
    print(f"pins: {written['pins']:.1e} eye distances off at most; all controls: {written['ms']:.3f} ms of CPU a frame")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(written, indent=1))


if __name__ == "__main__":
    main()
