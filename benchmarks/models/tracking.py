"""Compares the face tracker with MediaPipe's, on videos: landmarks, CPU time and memory.

    python -m benchmarks.models.tracking CLIPS... [--frames N] [--json FILE]

Distances are those of all 478 landmarks in the picture's plane, in pixels of a picture whose longer side is 512. Frames
count where both found the same face. ``self`` is how far MediaPipe's landmarks are from its own where the picture's
luma has noise of one step: a face is found again from where it was, so that the least difference goes on.

CPU time is that of all threads of the process, for a frame: whatever lies between a decoded picture and its landmarks,
here with the search for other faces and the match of appearance. MediaPipe is its ``FaceMesh`` with refined landmarks
on the whole picture, conversion to RGB included; without the ``reference`` extra it is left out. Memory is what 500
trackers leave that each looked at one picture. One thread of arithmetic.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.errors import DataError, MyTalkError
from mytalk.face import FaceTracker, SpeakerTracker
from mytalk.media.video import VideoReader
from mytalk.picture import Picture
from mytalk.training.face.reference import MediaPipeMesh

SIDE = 512  # pixels, longer side of the picture that distances are given for
SAME_FACE = 0.25  # mean distance in face widths up to which two trackers follow one face
WARM_UP = 5  # frames whose time is not counted
TRACKERS = 500

Points = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Row:
    """Holds one clip's figures; distances in pixels, times in milliseconds a frame."""

    clip: str
    frames: int
    compared: int  # both found the same face
    ours_alone: int
    reference_alone: int
    other_face: int
    mean: float
    p95: float
    largest: float
    worst_frame: float  # largest mean of one frame
    reference_self: float  # mean distance of the reference from itself, with noise of one step in luma
    cpu_ms: float
    reference_cpu_ms: float


def reference_tracker() -> Callable[[Picture], Points | None]:
    """Returns MediaPipe's face mesh, or a tracker that finds nothing where it is not installed."""
    try:
        return MediaPipeMesh()
    except DataError as error:
        print(f"without MediaPipe: {error}")
        return lambda _: None


def pictures(path: Path, most: int) -> Iterator[Picture]:
    """Yields the first pictures of a video."""
    return (frame.picture for frame in islice(VideoReader(path).frames(), most))


def timed(track: Callable[[Picture], Any], picture: Picture) -> tuple[Any, float]:
    """Returns what a tracker finds, and its milliseconds of CPU."""
    begun = time.process_time()
    found = track(picture)
    return found, (time.process_time() - begun) * 1e3


def compare(path: Path, most: int) -> Row:
    """Tracks a video with both trackers."""
    ours, reference, disturbed = SpeakerTracker(), reference_tracker(), reference_tracker()
    distances: list[NDArray[np.floating]] = []
    own_distances = []
    noise = np.random.default_rng(0)
    times, counts = [], {"ours_alone": 0, "reference_alone": 0, "other_face": 0}
    for picture in pictures(path, most):
        face, cpu = timed(ours, picture)
        other, reference_cpu = timed(reference, picture)
        again = disturbed(noisy(picture, noise))
        times.append((cpu, reference_cpu))
        if other is not None and again is not None:
            own_distances.append(in_plane(again, other, picture).mean())
        if face is None or other is None:
            counts["ours_alone"] += face is not None
            counts["reference_alone"] += other is not None
            continue
        apart = in_plane(face.points, other, picture)
        if apart.mean() > SAME_FACE * face.width * SIDE / max(picture.width, picture.height):
            counts["other_face"] += 1
        else:
            distances.append(apart)
    apart = np.array(distances or [[np.nan]])
    cpu_ms, reference_cpu_ms = np.mean(times[WARM_UP:] or times, axis=0)
    own = np.mean(own_distances) if own_distances else np.nan
    figures = (apart.mean(), np.percentile(apart, 95), apart.max(), apart.mean(axis=1).max(), own, cpu_ms)
    return Row(path.name, len(times), len(distances), *counts.values(), *map(float, (*figures, reference_cpu_ms)))


def in_plane(points: Points, others: Points, picture: Picture) -> NDArray[np.floating]:
    """Returns the distance of each landmark from the other tracker's, for a picture of 512."""
    return np.hypot(*(points - others)[:, :2].T) * (SIDE / max(picture.width, picture.height))


def noisy(picture: Picture, noise: np.random.Generator) -> Picture:
    """Changes each luma sample by at most one step."""
    luma = picture.y + noise.integers(-1, 2, picture.y.shape)
    return replace(picture, y=np.clip(luma, 0, 255).astype(np.uint8))


def memory_left(picture: Picture) -> tuple[float, float]:
    """Makes and drops trackers; returns the megabytes of the process before and after."""

    def resident() -> float:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * 4096 / 1e6

    for _ in range(WARM_UP):
        FaceTracker()(picture)
    before = resident()
    for _ in range(TRACKERS):
        FaceTracker()(picture)
    return before, resident()


def table(rows: list[Row]) -> str:
    head = (
        "clip",
        "frames",
        "same",
        "alone",
        "ref.",
        "other",
        "mean",
        "p95",
        "max",
        "frame",
        "self",
        "CPU",
        "ref. CPU",
    )
    lines = ["{:28} {:>6} {:>6} {:>5} {:>5} {:>5} {:>6} {:>6} {:>6} {:>6} {:>6} {:>6} {:>8}".format(*head)]
    for row in rows:
        lines.append(
            f"{row.clip[:28]:28} {row.frames:6} {row.compared:6} {row.ours_alone:5} {row.reference_alone:5} "
            f"{row.other_face:5} {row.mean:6.3f} {row.p95:6.3f} {row.largest:6.2f} {row.worst_frame:6.3f} "
            f"{row.reference_self:6.3f} {row.cpu_ms:6.2f} {row.reference_cpu_ms:8.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--frames", type=int, default=250, help="of each clip, at most")
    parser.add_argument("--json", type=Path, default=None)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    rows = []
    for clip in arguments.clips:
        try:
            rows.append(compare(clip, arguments.frames))
        except MyTalkError as error:
            print(f"left out: {error}")
    print(table(rows))
    weights = [row.compared for row in rows]
    if any(weights):
        compared = [row for row in rows if row.compared]
        mean = np.average([row.mean for row in compared], weights=[row.compared for row in compared])
        print(f"all: mean {mean:.3f} px, largest {max(row.largest for row in compared):.2f} px")
    before, after = memory_left(next(pictures(arguments.clips[0], 1)))
    print(f"memory: {before:.1f} MB, after {TRACKERS} more trackers {after:.1f} MB")
    if arguments.json is not None:
        figures = {"rows": [asdict(row) for row in rows], "memory_mb": [before, after]}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
