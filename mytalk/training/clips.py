"""Clips of talking faces as training data: landmarks, their times, and 16 kHz sound, one ``.npz`` a clip.

    python -m mytalk.training.clips VIDEO... -o DATA

Clips that are in DATA already are left alone, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from mytalk.errors import NoSpeechError, UnreadableError
from mytalk.face import FaceTracker, PoseFilter, fit_pose
from mytalk.face.landmarks import POINTS
from mytalk.face.tracker import Face
from mytalk.media_time import FRAME_SAMPLES, MOTION_RATE, SAMPLE_RATE, to_samples
from mytalk.picture import Picture


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip. Media time 0 is the first sample of its sound."""

    name: str
    points: NDArray[np.float32]  # (N, 478, 3) pixels; NaN where no face
    at: NDArray[np.int64]  # (N,) media time of each picture
    sound: NDArray[np.float32]  # (S,) 16 kHz
    size: tuple[int, int]

    def canonical(self) -> NDArray[np.float32]:
        """Landmarks at 25 Hz in canonical space ``(T, 478, 3)``; NaN where no face is near in time."""
        poses = PoseFilter()
        rows = np.full_like(self.points, np.nan)
        for index, (points, at) in enumerate(zip(self.points, self.at, strict=True)):
            if np.isnan(points).any():
                poses.reset()
                continue
            rows[index] = poses(fit_pose(Face(points)), int(at)).to_canonical(points)
        frames = np.arange(len(self.sound) // FRAME_SAMPLES) * FRAME_SAMPLES
        after = np.clip(np.searchsorted(self.at, frames), 1, len(self.at) - 1)
        span = self.at[after] - self.at[after - 1]
        share = np.clip((frames - self.at[after - 1]) / np.maximum(span, 1), 0, 1).astype(np.float32)[:, None, None]
        mixed = rows[after - 1] * (1 - share) + rows[after] * share
        outside = (frames < self.at[0] - FRAME_SAMPLES) | (frames > self.at[-1] + FRAME_SAMPLES)
        mixed[outside] = np.nan
        return np.asarray(mixed, np.float32)


def read_clip(path: Path) -> Clip:
    """Track the face and decode the sound of one video file.

    Raises UnreadableError where there is no picture and NoSpeechError where there is no sound.
    """
    tracker = FaceTracker()
    points: list[NDArray[np.float32]] = []
    times: list[int] = []
    size = (0, 0)
    with av.open(str(path)) as container:
        if not container.streams.video:
            raise UnreadableError(f"{path}: no video stream")
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for frame in container.decode(stream):
            picture = Picture.from_av(frame)
            size = (picture.width, picture.height)
            face = tracker(picture)
            points.append(face.points if face is not None else np.full((POINTS, 3), np.nan, np.float32))
            times.append(to_samples(frame.pts or 0, frame.time_base or stream.time_base or Fraction(1, MOTION_RATE)))
    tracker.close()
    start, sound = _read_sound(path)
    return Clip(path.stem, np.stack(points), np.array(times, np.int64) - start, sound, size)


def _read_sound(path: Path) -> tuple[int, NDArray[np.float32]]:
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
    chunks: list[NDArray[np.float32]] = []
    start: int | None = None
    with av.open(str(path)) as container:
        if not container.streams.audio:
            raise NoSpeechError(f"{path}: no audio stream")
        for frame in container.decode(container.streams.audio[0]):
            if start is None:
                start = to_samples(frame.pts or 0, frame.time_base or Fraction(1, frame.sample_rate))
            chunks += [part.to_ndarray()[0] for part in resampler.resample(frame)]
        chunks += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return start or 0, np.concatenate(chunks).astype(np.float32)


def save_clip(clip: Clip, folder: Path) -> None:
    part = folder / f"{clip.name}.part.npz"
    np.savez(part, points=clip.points, at=clip.at, sound=clip.sound, size=np.array(clip.size))
    part.replace(folder / f"{clip.name}.npz")


def load_clip(path: Path) -> Clip:
    with np.load(path) as stored:
        width, height = (int(side) for side in stored["size"])
        return Clip(path.stem, stored["points"], stored["at"], stored["sound"], (width, height))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for path in tqdm(arguments.videos, unit="clip"):
        if (arguments.output / f"{path.stem}.npz").exists():
            continue
        save_clip(read_clip(path), arguments.output)


if __name__ == "__main__":
    main()
