"""Draws a strip of pictures for each control: the embedded portrait at one moment of a speech, at several values.

    python -m benchmarks.quality.control_strips [NAME...] [-o FOLDER] [--face IMAGE]

The page and CONTROLS.md show what this writes into ``streamer/page/controls``.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import mytalk
from benchmarks.clips import ASSETS, SPEECH
from mytalk import StreamOptions, VideoFrame
from mytalk.appearance.look import SeenMouth
from mytalk.controls import Controls
from mytalk.controls.blink import Blink
from mytalk.controls.pins import SHAPES, KeyMotion
from mytalk.controls.values import EMOTIONS
from mytalk.face import Face, FaceTracker
from mytalk.face.eyes import MAX_GAZE_PITCH, MAX_GAZE_YAW
from mytalk.face.head_turn import MAX_PITCH, MAX_ROLL, MAX_SHIFT, MAX_YAW
from mytalk.face.landmarks import LIPS_INNER, LIPS_OUTER
from mytalk.media import SpeechReader, open_face
from mytalk.media_time import FRAME_SAMPLES
from mytalk.picture import Picture
from mytalk.pipeline import Pipeline
from streamer.cpu import leave_some_to_others

FOLDER = Path(__file__).parents[2] / "streamer" / "page" / "controls"
SIDE, QUALITY = 150, 80

OPEN, ROUND = 31, 38
"""Motion frames of the sample speech: an open vowel, and a rounded one."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Holds one picture: what stands under it, the controls, and the motion frame."""

    label: str
    controls: dict[str, Any]
    frame: int = OPEN
    look: str | None = None


STILL: dict[str, Any] = {"pose_preset": "still", "pose_rhythm": 0.0, "blink": Blink(0.0)}

LOOKS: dict[str, tuple[tuple[int, ...], tuple[int, int, int], float]] = {
    "lipstick": (LIPS_OUTER, (150, 10, 50), 0.6),
    "dark lips": (LIPS_OUTER, (70, 30, 40), 0.6),
    "white teeth": (LIPS_INNER, (252, 250, 240), 0.7),
}
"""Mouths of the portrait itself, painted over: what is filled, with which colour, how strongly."""


def _still(label: str, **controls: Any) -> Cell:
    return Cell(label, STILL | controls)


def _values(name: str, *values: float, frames: tuple[int, ...] = (OPEN,), **also: Any) -> list[Cell]:
    return [Cell(f"{value:g}", {name: value, **also}, frame) for frame in frames for value in values]


STRIPS: dict[str, list[Cell]] = {
    "mouth_opening": _values("mouth_opening", 0, 0.5, 1, 1.5, 2),
    "motion_scale": _values("motion_scale", 0, 0.5, 1, 1.5, 2),
    "lip_weight": _values("lip_weight", 0, 0.5, 1, 1.5, 2),
    "expression_weight": _values("expression_weight", 0, 1, 2),
    "pose_weight": [Cell(f"{value:g}", {"pose_weight": value}, 100) for value in (0, 1, 2, 3)],
    "articulation": _values("articulation", 0, 0.5, 1, frames=(OPEN, ROUND)),
    "emotion": [Cell(label, {"emotion": label}) for label in EMOTIONS],
    "intensity": _values("intensity", 0, 0.5, 1, 1.5, emotion="happy"),
    "key_motions": [Cell(name, {"key_motions": (KeyMotion(OPEN * FRAME_SAMPLES, name),)}) for name in SHAPES],
    "seed": [Cell(f"{seed}", {"seed": seed}, 60) for seed in range(4)],
    "head_pose": [
        _still(label, head_pose=pose)
        for label, pose in (
            ("yaw -20", (-MAX_YAW, 0, 0, 0, 0)),
            ("yaw 20", (MAX_YAW, 0, 0, 0, 0)),
            ("pitch -15", (0, -MAX_PITCH, 0, 0, 0)),
            ("pitch 15", (0, MAX_PITCH, 0, 0, 0)),
            ("roll -10", (0, 0, -MAX_ROLL, 0, 0)),
            ("roll 10", (0, 0, MAX_ROLL, 0, 0)),
            ("across 0.1", (0, 0, 0, MAX_SHIFT, 0)),
        )
    ],
    "pose_preset": [
        Cell(f"{preset} {frame / 25:.1f} s", {"pose_preset": preset, "pose_rhythm": 0.0}, frame)
        for preset, frames in (("still", (31,)), ("calm", (31,)), ("lively", (31, 100)), ("nod", (35, 44)))
        for frame in frames
    ],
    "pose_rhythm": [
        Cell(f"{value:g}", {"pose_rhythm": value, "pose_preset": "still"}, 10) for value in (0.0, 1.0, 2.0, 3.0)
    ],
    "gaze": [
        _still(label, gaze=gaze)
        for label, gaze in (
            ("yaw -20", (-MAX_GAZE_YAW, 0)),
            ("0", (0, 0)),
            ("yaw 20", (MAX_GAZE_YAW, 0)),
            ("pitch -10", (0, -MAX_GAZE_PITCH)),
            ("pitch 10", (0, MAX_GAZE_PITCH)),
        )
    ],
    "blink": [_still(f"{40 * frames} ms", blink=Blink(0.0, at=(OPEN - frames) * FRAME_SAMPLES)) for frames in range(7)],
    "brows": [_still(f"{value:g}", brows=value) for value in (-1.0, -0.5, 0.0, 0.5, 1.0)],
    "references": [_still("own"), *(Cell(name, dict(STILL), OPEN, look=name) for name in LOOKS)],
}


def close_up(frame: VideoFrame, face: Face, label: str) -> NDArray[np.uint8]:
    """Crops the face with some room around it, square, with its label."""
    x0, y0, x1, y1 = face.box
    half = 0.66 * max(x1 - x0, y1 - y0)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    box = frame.picture.even_box((int(x - half), int(y - half), int(x + half), int(y + half)))
    cell = np.asarray(cv2.resize(frame.picture.region_rgb(box), (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(cell, label, (6, SIDE - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, width, cv2.LINE_AA)
    return cell


class Portrait:
    """Speaks the sample speech with the embedded portrait."""

    def __init__(self, pipeline: Pipeline, image: Path) -> None:
        self._pipeline = pipeline
        self._source = open_face(image)
        self._speech = np.concatenate(list(SpeechReader(SPEECH).samples()))
        face = FaceTracker()(next(self._source.frames(endless=True)).picture)
        assert face is not None
        self._face = face

    def cell(self, cell: Cell) -> NDArray[np.uint8]:
        """Draws one picture of a strip."""
        count = cell.frame + 3
        frames = [frame for frame, _ in zip(self._source.frames(endless=True), range(count), strict=False)]
        references = () if cell.look is None else (self._painted(*LOOKS[cell.look]),)
        options = StreamOptions(profile="offline", still=True, alive=True, references=references)
        controls = Controls(**cell.controls)
        dubbed = list(self._pipeline.dub(frames, self._speech, options, controls=controls))
        return close_up(dubbed[cell.frame], self._face, cell.label)

    def _painted(self, loop: tuple[int, ...], colour: tuple[int, int, int], share: float) -> SeenMouth:
        """Returns the portrait's mouth, the lips or what is between them painted over."""
        rgb = next(self._source.frames(endless=True)).picture.rgb()
        area = np.zeros(rgb.shape[:2], np.uint8)
        for one, value in ((loop, 1), *([] if loop == LIPS_INNER else [(LIPS_INNER, 0)])):
            cv2.fillPoly(area, [self._face.points[list(one), :2].round().astype(np.int32)], value)
        mixed = rgb[area > 0] * (1 - share) + share * np.array(colour)
        rgb[area > 0] = mixed.astype(np.uint8)
        mouth = SeenMouth.of(Picture.from_rgb(rgb), self._face)
        assert mouth is not None
        return mouth


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="controls (default: all)")
    parser.add_argument("-o", "--output", type=Path, default=FOLDER, metavar="FOLDER")
    parser.add_argument("--face", type=Path, default=ASSETS / "astronaut.png")
    arguments = parser.parse_args()
    leave_some_to_others()
    portrait = Portrait(mytalk.load("edge", device="cpu"), arguments.face)
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or STRIPS:
        strip = np.hstack([portrait.cell(cell) for cell in STRIPS[name]])
        path = arguments.output / f"{name}.jpg"
        cv2.imwrite(str(path), cv2.cvtColor(strip, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        print(f"{path}: {path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main()
