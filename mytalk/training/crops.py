"""Mouth crops of talking people as training data for the appearance model, one ``.npz`` a clip.

    python -m mytalk.training.crops VIDEO... -o DATA [--every N] [--size 256]

Clips that are in DATA already are left alone.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mytalk.appearance.compose import apply, place_of
from mytalk.appearance.prepare import to_crop
from mytalk.face.landmarks import LOWER_FACE
from mytalk.face.pose import CROP_PIXELS, fit_pose
from mytalk.face.tracker import FaceTracker
from mytalk.picture import Picture

_LOWER = list(LOWER_FACE)


@dataclass(frozen=True, slots=True)
class Crops:
    """Mouth crops of one clip, in order of time."""

    person: str
    crops: NDArray[np.uint8]  # (N, S, S, 3)
    points: NDArray[np.float32]  # (N, 169, 2) pixels of the 128 crop, whatever S is
    frame: NDArray[np.int64]  # (N,) which frame of the clip


def cut_clip(path: Path, person: str, every: int = 1, size: int = CROP_PIXELS) -> Crops:
    """The mouth crop, ``size`` pixels a side, of every ``every``-th frame that shows a face."""
    tracker = FaceTracker()
    crops: list[NDArray[np.uint8]] = []
    points: list[NDArray[np.float32]] = []
    numbers: list[int] = []
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % every:
                continue
            picture = Picture.from_av(frame)
            face = tracker(picture)
            if face is None:
                continue
            matrix = fit_pose(face).crop_matrix()
            place = place_of(picture, matrix)
            if place is None:
                continue
            crops.append(to_crop(picture.region_rgb(place.box), place.to_pixels, size))
            points.append(apply(matrix, face.points[_LOWER, :2]))
            numbers.append(number)
    tracker.close()
    shape = (0, size, size, 3)
    return Crops(
        person,
        np.stack(crops) if crops else np.zeros(shape, np.uint8),
        np.stack(points) if points else np.zeros((0, len(_LOWER), 2), np.float32),
        np.array(numbers, np.int64),
    )


def save_crops(crops: Crops, folder: Path, name: str) -> None:
    part = folder / f"{name}.part.npz"
    np.savez(part, person=crops.person, crops=crops.crops, points=crops.points, frame=crops.frame)
    part.replace(folder / f"{name}.npz")


def load_crops(path: Path) -> Crops:
    with np.load(path) as stored:
        return Crops(str(stored["person"]), stored["crops"], stored["points"], stored["frame"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="keep one frame in this many (default: 1)")
    parser.add_argument("--size", type=int, default=CROP_PIXELS, help="side of a crop (default: 128; paper: 256)")
    parser.add_argument("--person", help="who is seen in these videos (default: one person a video)")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for path in tqdm(arguments.videos, unit="clip"):
        if not (arguments.output / f"{path.stem}.npz").exists():
            crops = cut_clip(path, arguments.person or path.stem, arguments.every, arguments.size)
            save_crops(crops, arguments.output, path.stem)


if __name__ == "__main__":
    main()
