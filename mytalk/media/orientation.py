"""Turns a stored picture so that it stands upright: by a video's display matrix, or an image's EXIF orientation."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import cast

import cv2
import numpy as np
from av.buffer import Buffer
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from mytalk.picture import Picture


@dataclass(frozen=True, slots=True)
class Orientation:
    """Describes one of the eight orientations of a picture: transpose first, then mirror columns, then rows."""

    transpose: bool = False
    mirror_columns: bool = False
    mirror_rows: bool = False

    def upright(self, picture: Picture) -> Picture:
        """Turns the picture: whole samples move, none changes its value."""
        if self == Orientation():
            return picture
        return replace(picture, y=self.turn(picture.y), u=self.turn(picture.u), v=self.turn(picture.v))

    def back(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turns an upright plane ``(H, W)`` back as it was stored."""
        mirrored = Orientation(False, self.mirror_columns, self.mirror_rows).turn(plane)
        return Orientation(self.transpose).turn(mirrored)

    def turn(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turns one plane ``(H, W)``, or pixels ``(H, W, C)``."""
        turned: NDArray[np.uint8] = np.asarray(cv2.transpose(plane), np.uint8) if self.transpose else plane
        if self.mirror_columns or self.mirror_rows:
            axes = -1 if self.mirror_columns and self.mirror_rows else int(self.mirror_columns)
            turned = np.asarray(cv2.flip(turned, axes), np.uint8)
        return turned


# EXIF 2.32, tag 0x0112: values 1 to 8.
_FROM_EXIF = {
    1: Orientation(),
    2: Orientation(mirror_columns=True),
    3: Orientation(mirror_columns=True, mirror_rows=True),
    4: Orientation(mirror_rows=True),
    5: Orientation(transpose=True),
    6: Orientation(transpose=True, mirror_columns=True),
    7: Orientation(transpose=True, mirror_columns=True, mirror_rows=True),
    8: Orientation(transpose=True, mirror_rows=True),
}


def of_frame(frame: VideoFrame) -> Orientation | None:
    """Reads the orientation of a frame's display matrix. None where its angle is no quarter turn."""
    try:
        data = cast(Buffer | None, frame.side_data.get("DISPLAYMATRIX"))
    except ValueError:  # side data of a kind that the binding has no name for
        return _of_angle(frame.rotation)
    return Orientation() if data is None else _of_matrix(struct.unpack("=9i", bytes(data)))


def matrix_of_frame(frame: VideoFrame) -> tuple[int, ...] | None:
    """Returns the nine numbers of a frame's display matrix; None where it has none, or none that turns."""
    try:
        data = cast(Buffer | None, frame.side_data.get("DISPLAYMATRIX"))
    except ValueError:
        return None
    matrix = None if data is None else struct.unpack("=9i", bytes(data))
    return None if matrix is None or _of_matrix(matrix) in (None, Orientation()) else matrix


def from_exif(value: int | None) -> Orientation:
    """Returns the orientation of EXIF's value; upright where it is none of the eight."""
    return _FROM_EXIF.get(value or 1, Orientation())


def _of_matrix(matrix: tuple[int, ...]) -> Orientation | None:
    """Reads an FFmpeg display matrix: x' = a x + c y, y' = b x + d y, in 16.16 numbers a, b, u, c, d, v, x, y, w."""
    a, b, _, c, d = matrix[:5]
    if b == c == 0 and a and d:
        return Orientation(False, a < 0, d < 0)
    if a == d == 0 and b and c:
        return Orientation(True, c < 0, b < 0)
    return None


def _of_angle(degrees: int) -> Orientation | None:
    """Converts degrees counter-clockwise. Mirrored pictures cannot be told by the angle alone."""
    turns = {0: _FROM_EXIF[1], 90: _FROM_EXIF[8], 180: _FROM_EXIF[3], 270: _FROM_EXIF[6]}
    return turns.get(degrees % 360)
