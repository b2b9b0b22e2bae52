"""Records clips of aligned faces, 25 a second, from tracked pictures at any rate."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mytalk.appearance.crop_frame import FACE
from mytalk.appearance.network_inputs import to_crop
from mytalk.appearance.placement import apply_affine, placement_of
from mytalk.face.pose import CROP_PIXELS, HeadPose
from mytalk.face.tracker import Face
from mytalk.media_time import FRAME_SAMPLES, MOTION_RATE
from mytalk.picture import Picture
from mytalk.training.data.clip_members import Landmarks, PictureWriter

SHORTEST = 2 * MOTION_RATE
LONGEST = 20 * MOTION_RATE
"""Frames of a clip at most."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """Holds one picture with its face, at any rate."""

    at: int  # media time
    picture: Picture
    face: Face
    pose: HeadPose  # smoothed


@dataclass(frozen=True, slots=True)
class Recorded:
    """Holds one clip, without its sound."""

    at: int  # media time of its first frame
    pictures: bytes  # H.264 in MP4
    landmarks: Landmarks
    face_pixels: float  # median width of the face in the source

    @property
    def frames(self) -> int:
        return len(self.landmarks.canonical)

    @property
    def end(self) -> int:
        return self.at + self.frames * FRAME_SAMPLES


@dataclass(frozen=True, slots=True)
class _Frame:
    at: int
    crop: NDArray[np.uint8]  # (S, S, 3)
    canonical: NDArray[np.float32]  # (478, 3)
    points: NDArray[np.float32]  # (478, 2)
    pose: NDArray[np.float32]  # (13,)
    width: float


class Recorder:
    """Records one run: pictures of one face without a break. Give every picture to ``push``, then call ``finish``.

    A frame shows the picture nearest in time, and holds the landmarks of its own time between two pictures. Clips are
    cut so that the last one of a run is never shorter than ``SHORTEST``, unless the run is. Memory holds 2 s of faces.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._last: _Frame | None = None  # the picture before, on its own time
        self._next = 0  # media time of the next frame
        self._frames_held: deque[_Frame] = deque()  # not yet known to which clip they go
        self._clip: list[_Frame] = []  # of the clip being written, without pictures
        self._writer = PictureWriter(size)

    def push(self, tracked: Tracked) -> Iterator[Recorded]:
        """Takes one more picture, later than the one before; returns the clips that are complete."""
        for frame in self._resample(self._crop(tracked)):
            self._frames_held.append(frame)
            if len(self._frames_held) > SHORTEST:
                if len(self._clip) == LONGEST - SHORTEST:
                    yield self._close()
                self._write(self._frames_held.popleft())

    def finish(self) -> Recorded | None:
        """Returns what is left of the run; None where it is shorter than ``SHORTEST``."""
        while self._frames_held:
            self._write(self._frames_held.popleft())
        return self._close() if len(self._clip) >= SHORTEST else None

    def _resample(self, new: _Frame) -> Iterator[_Frame]:
        old, self._last = self._last, new
        if old is None:
            self._next = new.at + FRAME_SAMPLES
            yield new
            return
        while self._next <= new.at:
            share = np.float32((self._next - old.at) / (new.at - old.at))
            canonical = old.canonical + share * (new.canonical - old.canonical)
            near = old if share < 0.5 else new
            yield _Frame(self._next, near.crop, canonical, near.points, near.pose, near.width)
            self._next += FRAME_SAMPLES

    def _crop(self, tracked: Tracked) -> _Frame:
        matrix = tracked.pose.crop_matrix()
        position = placement_of(tracked.picture, matrix, frame=FACE)
        assert position is not None, "a face in the picture has pixels in it"
        unit = self._size // FACE.pixels(1)
        crop = to_crop(tracked.picture.region_rgb(position.box), position.to_pixels, unit, FACE)
        corner = np.array([FACE.left, FACE.top], np.float32)
        scale = np.float32(unit / CROP_PIXELS)
        points = (apply_affine(matrix, tracked.face.points[:, :2]) - corner + np.float32(0.5)) * scale - np.float32(0.5)
        pose = tracked.pose
        row = np.concatenate([[pose.scale], pose.rotation.ravel(), pose.translation]).astype(np.float32)
        return _Frame(tracked.at, crop, pose.to_canonical(tracked.face.points), points, row, tracked.face.width)

    def _write(self, frame: _Frame) -> None:
        self._writer.write(frame.crop)
        nothing = np.zeros((0, 0, 3), np.uint8)
        self._clip.append(_Frame(frame.at, nothing, frame.canonical, frame.points, frame.pose, frame.width))

    def _close(self) -> Recorded:
        clip, self._clip = self._clip, []
        pictures, self._writer = self._writer.finish(), PictureWriter(self._size)
        landmarks = Landmarks(
            np.stack([frame.canonical for frame in clip]),
            np.stack([frame.points for frame in clip]),
            np.stack([frame.pose for frame in clip]),
        )
        return Recorded(clip[0].at, pictures, landmarks, float(np.median([frame.width for frame in clip])))
