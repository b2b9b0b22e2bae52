"""Measures how close rendered mouths come to filmed ones, given the true landmarks: the nearest mouth warped, blended
with the mean of mouths of about its shape, and refined by the network; with all mouths of the enrolment, with its first
four, and with one alone (which has no mean), where ``reuse_residual`` runs the network for every second frame only, as
a live session does.

    python -m benchmarks.quality.appearance --clips FOLDER [--weights FOLDER] [--json FILE]

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
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import asdict, dataclass, fields, replace
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import torch

from mytalk.appearance.bank import CAPACITY
from mytalk.appearance.model import AppearanceModel
from mytalk.checkpoint import read_preset
from mytalk.errors import NoFaceError
from mytalk.evaluation.engine import ENROL, ENROL_SHORT, SHORT_SECONDS
from mytalk.evaluation.true_landmarks import PixelScore, score_pixels
from mytalk.face.tracker import FaceTracker
from mytalk.media import VideoReader
from mytalk.media_time import SAMPLE_RATE
from mytalk.torch_checkpoint import load_into


@dataclass(frozen=True, slots=True)
class Variant:
    """Describes a way to render."""

    refinement: bool = True  # False: the nearest mouth alone, warped
    network: bool = True  # False: the mean, and no network
    reuse_residual: bool = False
    mouths: int = CAPACITY


VARIANTS = {
    "nearest": Variant(refinement=False),
    "as shipped": Variant(),
    "4 mouths, nearest": Variant(refinement=False, mouths=4),
    "4 mouths, mean": Variant(network=False, mouths=4),
    "4 mouths, network": Variant(mouths=4),
    "1 mouth": Variant(network=False, mouths=1),
    "1 mouth, network": Variant(mouths=1),
    "1 mouth, frugal": Variant(reuse_residual=True, mouths=1),
}
"""A bank of a dozen mouths or more asks no network: as shipped it is the nearest mouth, brought near to the mean."""


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
    tables: dict[str, dict[str, PixelScore]] = {name: {} for name in VARIANTS}
    for path in sorted(p for p in arguments.clips.iterdir() if p.is_file()):
        for name, one in score(path, network):
            tables[name][path.stem] = one
            print(name.ljust(20), _row(path.stem, one), flush=True)
    for name, scores in tables.items():
        print(f"\n{name}\n{_HEAD}")
        for clip, one in [*scores.items(), ("mean", mean(list(scores.values())))]:
            print(_row(clip, one))
    if arguments.json:
        machine = {"processor": platform.processor() or platform.machine(), "threads": 1, "torch": torch.__version__}
        figures = {name: [{"clip": clip, **asdict(one)} for clip, one in rows.items()] for name, rows in tables.items()}
        arguments.json.write_text(json.dumps({"machine": machine, **figures}, indent=1))


def score(path: Path, network: AppearanceModel) -> Iterator[tuple[str, PixelScore]]:
    """Scores one clip, rendered in each way. Raises NoFaceError where nothing could be compared."""
    reader, tracker = VideoReader(path), FaceTracker()
    tracked = [(frame.at, tracker(frame.picture)) for frame in reader.frames()]
    enrolment = ENROL if tracked[-1][0] > SHORT_SECONDS * SAMPLE_RATE else ENROL_SHORT
    faces = [face for _, face in tracked]
    alone = copy(network)
    alone.preset = replace(network.preset, enough=1)
    for name, variant in VARIANTS.items():
        frames = zip(reader.frames(), faces, strict=True)
        model = network if variant.network else alone
        one = score_pixels(
            frames,
            model,
            enrolment,
            mouths=variant.mouths,
            refinement=variant.refinement,
            reuse_residual=variant.reuse_residual,
        )
        if one is None:
            raise NoFaceError(f"{path}: no face after its first {enrolment / SAMPLE_RATE} s (need one to compare)")
        yield name, one


def mean(scores: Sequence[PixelScore]) -> PixelScore:
    """Averages over clips."""
    columns = [[getattr(one, field.name) for one in scores] for field in fields(PixelScore)[1:]]
    return PixelScore(sum(one.frames for one in scores), *(float(np.mean(column)) for column in columns))


def _network(folder: Path | None) -> AppearanceModel:
    folder = folder or Path(str(files("mytalk") / "weights" / "edge"))
    model = AppearanceModel(read_preset(folder).appearance)
    load_into(model, folder, "appearance")
    return model


_HEAD = f"{'clip':36} frames   PSNR   SSIM  mouth  sharp detail  flicker     ms"


def _row(clip: str, one: PixelScore) -> str:
    return (
        f"{clip:36.36} {one.frames:6d} {one.psnr:6.2f} {one.ssim:6.4f} {one.mouth_psnr:6.2f} "
        f"{one.sharpness:6.2f} {one.detail:6.2f} {one.flicker:8.2f} {one.milliseconds:6.1f}"
    )


if __name__ == "__main__":
    main()
