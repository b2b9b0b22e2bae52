"""Tracks a clip once, for everything that is then made of it: faces, mouth and sound."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mytalk.errors import NoFaceError
from mytalk.evaluation.films import Film, Pictures, Portrait, Sound
from mytalk.evaluation.motion import Lips, LipTrack
from mytalk.evaluation.sync import Curve
from mytalk.face import Face, FaceTracker
from mytalk.face.tracker import MIN_FACE_PIXELS
from mytalk.media import VideoReader


@dataclass(frozen=True, slots=True)
class Shapes:
    """Holds a mouth over time at 25 Hz, canonical; NaN where there is no face."""

    aperture: Curve  # (T,)
    lips: Lips  # (T, 40, 2)

    def until(self, frames: int) -> Shapes:
        return Shapes(self.aperture[:frames], self.lips[:frames])

    def since(self, frame: int) -> Shapes:
        return Shapes(self.aperture[frame:], self.lips[frame:])


@dataclass(frozen=True, slots=True)
class Filmed:
    """Holds a film or a portrait, with the media times and faces of its pictures in order; a portrait has one.

    ``shapes`` has no rows for a portrait.
    """

    film: Pictures
    at: list[int] = field(repr=False)
    faces: list[Face | None] = field(repr=False)
    shapes: Shapes = field(repr=False)
    sound: Sound | None = field(repr=False)

    @property
    def name(self) -> str:
        return self.film.name

    def faces_in_order(self) -> Iterable[Face | None]:
        return repeat(self.faces[0]) if self.film.still else self.faces


def track_film(path: Path) -> Filmed:
    """Tracks a film or an image. Raises UnreadableError, and NoFaceError where no picture shows a face."""
    reader = VideoReader(path)
    film = Portrait(path) if reader.image or reader.single else Film(path)
    tracker, track = FaceTracker(), LipTrack()
    at: list[int] = []
    faces: list[Face | None] = []
    for frame in film.frames():
        at.append(frame.at)
        faces.append(tracker(frame.picture))
        if film.still:
            break
        track.push(at[-1], faces[-1])
    if all(face is None for face in faces):
        raise NoFaceError(f"{path}: no face found (need one at least {MIN_FACE_PIXELS} px wide, seen from the front)")
    sound = film.sound() if isinstance(film, Film) else None
    return Filmed(film, at, faces, shapes_of(track, track.frames), sound)


def shapes_of(track: LipTrack, frames: int) -> Shapes:
    """Returns the first motion frames of a tracked mouth."""
    return Shapes(track.curve(frames), track.lips(frames))


def spread(aperture: NDArray[np.float32]) -> float:
    """Computes the standard deviation over the frames that are known."""
    return float(np.nanstd(aperture)) if not np.isnan(aperture).all() else float("nan")
