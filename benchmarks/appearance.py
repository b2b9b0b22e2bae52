"""How close rendered mouths come to filmed ones, given the true landmarks: mesh warp alone, and with the network.

    python benchmarks/appearance.py --clips FOLDER [--weights FOLDER] [--json FILE]

Of each clip, the first 3 s (1.5 s where it is no longer than 4 s) fill the reference bank; after that the bank is
closed, and every frame's mouth region is rendered anew from the bank, at the frame's own landmarks; skin outside the
region is the frame's own. Compared on the 256 x 256 canonical face crop (the whole face: canonical x -1.6..1.6,
y -1.15..2.05) against the same crop of the filmed frame. The mouth box is the true lips' bounding box, a quarter wider
on each side. Time is one thread's CPU time for ``render`` alone: no detection, decoding or encoding.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from mytalk.appearance.model import AppearanceModel
from mytalk.appearance.renderer import MouthRenderer
from mytalk.checkpoint import load_into, read_preset
from mytalk.evaluation.crop import Crop, face_crop, mouth_box
from mytalk.evaluation.fidelity import change, psnr, sharpness, ssim
from mytalk.face.landmarks import LOWER_FACE
from mytalk.face.pose import fit_pose
from mytalk.face.tracker import Face, FaceTracker
from mytalk.picture import Picture

BANK_SECONDS, SHORT_BANK_SECONDS, SHORT_CLIP = 3.0, 1.5, 4.0
_LOWER = list(LOWER_FACE)


@dataclass(frozen=True, slots=True)
class Score:
    """Means over the frames of one clip."""

    clip: str
    frames: int
    psnr: float
    ssim: float
    mouth_psnr: float
    sharpness: float  # variance of the mouth box's Laplacian, rendered / filmed, median
    flicker: float  # frame-to-frame change of the mouth box, rendered / filmed
    milliseconds: float  # median of one render


def main() -> None:
    """Prints one table for each renderer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, required=True, help="folder of video files")
    parser.add_argument("--weights", type=Path, help="checkpoint folder; the package's by default")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    network = _network(arguments.weights)
    tables: dict[str, list[Score]] = {"warp": [], "network": []}
    for path in sorted(p for p in arguments.clips.iterdir() if p.is_file()):
        pictures, faces, seconds = read(path)
        for name, model in (("warp", None), ("network", network)):
            tables[name].append(score(path.stem, pictures, faces, seconds, model))
            print(name.ljust(8), _row(tables[name][-1]), flush=True)
    for name, scores in tables.items():
        print(f"\n{name}\n{_HEAD}")
        for one in [*scores, mean(scores)]:
            print(_row(one))
    if arguments.json:
        machine = {"processor": platform.processor() or platform.machine(), "threads": 1, "torch": torch.__version__}
        figures = {name: [asdict(one) for one in scores] for name, scores in tables.items()}
        arguments.json.write_text(json.dumps({"machine": machine, **figures}, indent=1))


def read(path: Path) -> tuple[list[Picture], list[Face | None], list[float]]:
    """All pictures of a clip, their faces, and their times."""
    tracker = FaceTracker()
    pictures: list[Picture] = []
    seconds: list[float] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            pictures.append(Picture.from_av(frame))
            seconds.append(float(frame.time))
    faces = [tracker(picture) for picture in pictures]
    tracker.close()
    return pictures, faces, [at - seconds[0] for at in seconds]


def score(
    name: str,
    pictures: Sequence[Picture],
    faces: Sequence[Face | None],
    seconds: Sequence[float],
    model: AppearanceModel | None,
) -> Score:
    """Scores one renderer on one clip."""
    renderer = MouthRenderer(model)
    enrolment = BANK_SECONDS if seconds[-1] > SHORT_CLIP else SHORT_BANK_SECONDS
    rows: list[tuple[float, ...]] = []
    before: tuple[Crop, Crop] | None = None
    for picture, face, at in zip(pictures, faces, seconds, strict=True):
        if face is None:
            before = None
            continue
        pose, points = fit_pose(face), face.points[_LOWER, :2]
        if at < enrolment:
            renderer.observe(picture, pose, points)
            continue
        start = time.thread_time()
        rendered = renderer.render(picture, pose, points, points, face=face.points[:, :2])
        spent = time.thread_time() - start
        pair = (face_crop(picture.rgb(), pose), face_crop(rendered.rgb(), pose))
        rows.append((*_compare(*pair, mouth_box(face, pose), before), 1000 * spent))
        before = pair
    table = np.array(rows)
    means = table.mean(axis=0)
    psnr, ssim, mouth_psnr = (float(value) for value in means[:3])
    flicker = float(table[:, 4].sum() / max(table[:, 5].sum(), 1e-9))
    sharpness, milliseconds = float(np.median(table[:, 3])), float(np.median(table[:, 6]))
    return Score(name, len(rows), psnr, ssim, mouth_psnr, sharpness, flicker, milliseconds)


def mean(scores: Sequence[Score]) -> Score:
    """The mean over clips."""
    columns = [[getattr(one, field) for one in scores] for field in list(Score.__slots__)[2:]]
    return Score("mean", sum(one.frames for one in scores), *(float(np.mean(column)) for column in columns))


def _compare(
    filmed: Crop, rendered: Crop, box: tuple[slice, slice], before: tuple[Crop, Crop] | None
) -> tuple[float, ...]:
    changes: tuple[float, ...] = (0.0, 0.0)
    if before is not None:
        pairs = ((rendered, before[1]), (filmed, before[0]))
        changes = tuple(change(now, old, box) for now, old in pairs)
    return (
        psnr(filmed, rendered), ssim(filmed, rendered), psnr(filmed[box], rendered[box]),
        sharpness(rendered[box]) / max(sharpness(filmed[box]), 1e-6), *changes,
    )  # fmt: skip


def _network(folder: Path | None) -> AppearanceModel:
    folder = folder or Path(str(files("mytalk") / "weights" / "edge"))
    model = AppearanceModel(read_preset(folder).appearance)
    load_into(model, folder, "appearance")
    return model


_HEAD = f"{'clip':36} frames   PSNR   SSIM  mouth  sharp  flicker     ms"


def _row(one: Score) -> str:
    return (
        f"{one.clip:36.36} {one.frames:6d} {one.psnr:6.2f} {one.ssim:6.4f} {one.mouth_psnr:6.2f} "
        f"{one.sharpness:6.2f} {one.flicker:8.2f} {one.milliseconds:6.1f}"
    )


if __name__ == "__main__":
    main()
