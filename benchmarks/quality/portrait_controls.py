"""Measures what the controls of portraits do, and what they cost: of the embedded portrait, or of others.

    python -m benchmarks.quality.portrait_controls [IMAGE...] [--json FILE]

Per picture: the head turn that a face tracker sees at the ends of the range; the steepest slope of the field; how far
irises and brows move, in eye lengths and eye distances; the CPU time of a frame at rest, as it moves by itself, and
with all controls on. Of references: the distance of the lips' mean colour, in Lab, to the reference and
to the film, and without the lightness, which is the film's exposure (hue).
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import ASSETS
from mytalk.appearance.look import SeenMouth
from mytalk.appearance.renderer import MouthRenderer
from mytalk.face import Face, FaceTracker, fit_pose
from mytalk.face.brows import UpperFace
from mytalk.face.eyes import MAX_GAZE_YAW
from mytalk.face.head_turn import MAX_PITCH, MAX_ROLL, MAX_YAW, Grid, HeadSurface, Turn
from mytalk.face.landmarks import LIPS_INNER, LIPS_OUTER, LOWER_FACE
from mytalk.face.portrait import PortraitState, PortraitWarp
from mytalk.media import open_face
from mytalk.picture import Picture
from streamer.cpu import leave_some_to_others

ROUNDS = 60
ALL = PortraitState(Turn(8, -5, 3, 0.02, 0.01), 0.2, 8, -4, UpperFace(0.5, 0.3, 0.1, 0.3, 0.3))
OWN = PortraitState(Turn(1.0, -0.7, 0.5, 0.008, 0.005))
IRISES = (468, 473)


def angles(face: Face) -> NDArray[np.float64]:
    """Returns yaw, pitch and roll of a face in degrees, signs as of `Turn`."""
    rotation = fit_pose(face).rotation
    yaw, pitch, roll = -fit_pose(face).yaw, -np.arcsin(rotation[2, 1]), np.arctan2(rotation[1, 0], rotation[0, 0])
    return np.degrees([yaw, pitch, roll])


def steepest(portrait: Picture, face: Face, turn: Turn) -> float:
    """Returns the steepest slope of the displacement, pixels a pixel."""
    grid = Grid(portrait, face)
    field = HeadSurface(grid, face).displacement(turn) * grid.per_pixel
    return float(max(np.abs(np.gradient(field[..., axis])[1 - axis]).max() for axis in (0, 1)))


def seen(warp: PortraitWarp, state: PortraitState, face: Face) -> Face:
    """Returns the face that a tracker finds in the warped portrait, or the portrait's where it finds none."""
    return FaceTracker()(warp(warp.portrait, state)) or face


def gaze_of(face: Face) -> float:
    """Returns how far the irises are across, in eye lengths."""
    corners = ((33, 133), (362, 263))
    ratios = [
        (face.points[iris, 0] - face.points[list(pair), 0].mean()) / np.ptp(face.points[list(pair), 0])
        for iris, pair in zip(IRISES, corners, strict=True)
    ]
    return float(np.mean(ratios))


def cpu_ms(work: Callable[[], object]) -> float:
    """Returns milliseconds of this thread's CPU time for one call."""
    work()
    start = time.thread_time()
    for _ in range(ROUNDS):
        work()
    return (time.thread_time() - start) / ROUNDS * 1e3


def measured(path: Path) -> dict[str, Any]:
    """Measures one portrait."""
    portrait = next(open_face(path).frames(endless=True)).picture
    face = FaceTracker()(portrait)
    if face is None:
        raise SystemExit(f"{path}: no face found")
    warp = PortraitWarp(portrait, face)
    turned = {
        name: [
            float((angles(seen(warp, PortraitState(Turn(**{name: sign * most})), face)) - angles(face))[index])
            for sign in (-1, 1)
        ]
        for index, (name, most) in enumerate((("yaw", MAX_YAW), ("pitch", MAX_PITCH), ("roll", MAX_ROLL)))
    }
    distance = float(np.linalg.norm(face.points[IRISES[0], :2] - face.points[IRISES[1], :2]))
    brows = {}
    for label, shown in (("raised", UpperFace(1, 1)), ("lowered", UpperFace(lowered=1))):
        risen = face.points - seen(warp, PortraitState(face=shown), face).points
        brows[label] = float(risen[[105, 334], 1].mean() / distance)
    return {
        "portrait": path.name,
        "face width": round(face.width),
        "tracked degrees": {name: [round(value, 1) for value in pair] for name, pair in turned.items()},
        "steepest slope": round(max(steepest(portrait, face, turn) for turn in _corners()), 2),
        "gaze, eye lengths": [
            round(gaze_of(seen(warp, PortraitState(gaze_yaw=yaw), face)) - gaze_of(face), 3)
            for yaw in (-MAX_GAZE_YAW, MAX_GAZE_YAW)
        ],
        "brows, eye distances": {label: round(value, 3) for label, value in brows.items()},
        "ms a frame": {
            name: round(cpu_ms(lambda state=state: warp(portrait, state)), 2)
            for name, state in (("at rest", PortraitState()), ("by itself", OWN), ("all controls", ALL))
        },
    }


def _corners() -> Iterator[Turn]:
    for yaw in (-MAX_YAW, MAX_YAW):
        for pitch in (-MAX_PITCH, MAX_PITCH):
            yield Turn(yaw, pitch, MAX_ROLL)


def reference_distance(film: Path, reference: Path) -> dict[str, Any]:
    """Measures how near lips and teeth, given the look of a reference, are to it and to the film's own."""
    (portrait, face), (other, other_face) = (_found(path) for path in (film, reference))
    mouth = SeenMouth.of(other, other_face)
    assert mouth is not None
    lower = np.ascontiguousarray(face.points[list(LOWER_FACE), :2])
    worn = MouthRenderer(None, still=True, look=(mouth,)).render(portrait, fit_pose(face), lower, lower)
    own, made, wanted = _lab(portrait, face), _lab(worn, face), _lab(other, other_face)
    pairs = {"to the reference": made - wanted, "to the film": made - own, "film to reference": own - wanted}
    return {
        "film": film.name,
        "reference": reference.name,
        **{f"{name}, Lab": round(float(np.linalg.norm(apart)), 1) for name, apart in pairs.items()},
        **{f"{name}, hue": round(float(np.linalg.norm(apart[1:])), 1) for name, apart in pairs.items()},
    }


def _found(path: Path) -> tuple[Picture, Face]:
    picture = next(open_face(path).frames(endless=True)).picture
    face = FaceTracker()(picture)
    if face is None:
        raise SystemExit(f"{path}: no face found")
    return picture, face


def _lab(picture: Picture, face: Face) -> NDArray[np.float64]:
    """Returns the mean colour of the lips, in CIE Lab."""
    lips = np.zeros(picture.y.shape, np.uint8)
    for loop, value in ((LIPS_OUTER, 1), (LIPS_INNER, 0)):
        cv2.fillPoly(lips, [face.points[list(loop), :2].round().astype(np.int32)], value)
    lab = cv2.cvtColor(picture.rgb().astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    return np.asarray(lab[lips > 0].mean(axis=0), np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="*", type=Path, default=[ASSETS / "astronaut.png"], metavar="IMAGE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    leave_some_to_others()
    cv2.setNumThreads(1)
    result = {
        "machine": f"{platform.machine()}, one thread",
        "not included": "rendering of the mouth",
        "portraits": [measured(path) for path in arguments.images],
        "references": [
            reference_distance(film, other) for film in arguments.images for other in arguments.images if film != other
        ],
    }
    for kind in ("portraits", "references"):
        for row in result[kind]:
            print(" | ".join(f"{name}: {value}" for name, value in row.items()), flush=True)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
