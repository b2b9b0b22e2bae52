"""Joins what the frames of several sessions are made of into tensors of one shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mytalk.appearance.paint import MAX_SHRINK
from mytalk.appearance.reference_mean import MAX_NEIGHBOURS
from mytalk.appearance.sampling import Matrix
from mytalk.appearance.scene import Neighbours, Plane, Scene
from mytalk.face.pose import CROP_PIXELS

LEAST_SIDE = 128
"""Side of the smallest canvas that a part of a picture is put on, pixels; others are 2, 4... times as large: so few
shapes serve all pictures."""

_REACH = 4  # pixels of the picture around the crop that a cubic sample, and an even box, may touch


class Part(NamedTuple):
    """Says which part of a picture holds all that is changed or sampled."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Scenes:
    """Holds what ``B`` frames are made of, as `mytalk.appearance.scene.Scene` holds one.

    Planes are parts of pictures on canvases of one side ``S``; sizes are their true heights and widths.
    """

    planes: Tensor  # (B, 2, 3 S / 2, S) uint8: the frame and the mouth; below Y, U left and V right
    sizes: Tensor  # (B, 2, 2)
    matrices: Tensor  # (B, 3, 2, 3): the frame's pixels -> crop and back, crop -> the mouth's pixels
    colours: Tensor  # (B, 2, 3, 4): from YUV and 1 to RGB, and back
    points: Tensor  # (B, 3, 169, 2): source, wanted, and the nearest mouth's
    neighbours: Tensor  # (B, 12, 169, 2)
    crop: Tensor  # (B, 128, 128, 3) uint8
    half_crops: Tensor  # (B, 12, 64, 64, 3) uint8
    distance: Tensor  # (B, 12): infinite for those that are not there
    skin: Tensor  # (B, 3)
    followed: Tensor  # (B, 5): refinement, interior, may be covered, opacity, and whether a mean is mixed in
    cover: Tensor  # (B, 32, 32)
    residual: Tensor  # (B, W, W, 3)
    offsets: Tensor  # (B, P): crop pixels to the places that a pixel of the crop is sampled at, along each axis
    cells: Tensor  # (B, C): as many as pixels that the network's window is aligned to

    @property
    def frame_y(self) -> Tensor:
        return self.planes[:, 0, : self._side]

    @property
    def frame_u(self) -> Tensor:
        return self.planes[:, 0, self._side :, : self._side // 2]

    @property
    def frame_v(self) -> Tensor:
        return self.planes[:, 0, self._side :, self._side // 2 :]

    @property
    def mouth_y(self) -> Tensor:
        return self.planes[:, 1, : self._side]

    @property
    def mouth_u(self) -> Tensor:
        return self.planes[:, 1, self._side :, : self._side // 2]

    @property
    def mouth_v(self) -> Tensor:
        return self.planes[:, 1, self._side :, self._side // 2 :]

    @property
    def frame_size(self) -> Tensor:
        return self.sizes[:, 0]

    @property
    def mouth_size(self) -> Tensor:
        return self.sizes[:, 1]

    @property
    def to_crop(self) -> Tensor:
        return self.matrices[:, 0]

    @property
    def to_picture(self) -> Tensor:
        return self.matrices[:, 1]

    @property
    def to_mouth(self) -> Tensor:
        return self.matrices[:, 2]

    @property
    def rgb_of_yuv(self) -> Tensor:
        return self.colours[:, 0]

    @property
    def yuv_of_rgb(self) -> Tensor:
        return self.colours[:, 1]

    @property
    def source(self) -> Tensor:
        return self.points[:, 0]

    @property
    def wanted(self) -> Tensor:
        return self.points[:, 1]

    @property
    def mouth(self) -> Tensor:
        return self.points[:, 2]

    @property
    def refinement(self) -> Tensor:
        return self.followed[:, 0]

    @property
    def interior_share(self) -> Tensor:
        return self.followed[:, 1]

    @property
    def may_be_covered(self) -> Tensor:
        return self.followed[:, 2] > 0

    @property
    def opacity(self) -> Tensor:
        return self.followed[:, 3]

    @property
    def mixes_mean(self) -> Tensor:
        return self.followed[:, 4] > 0

    @property
    def cell(self) -> int:
        return self.cells.shape[1]

    @property
    def _side(self) -> int:
        return self.planes.shape[-1]

    def to_pixels_of_picture(self, places: Tensor) -> Tensor:
        """Maps places of the crop to pixels of the frames."""
        return mapped(self.to_picture, places)


def mapped(matrix: Tensor, places: Tensor) -> Tensor:
    """Maps places ``(S, S, 2)`` or ``(B, S, S, 2)`` by ``(B, 2, 3)``, to ``(B, S, S, 2)``."""
    each = matrix[:, None, None]
    return each[..., 0] * places[..., 0, None] + each[..., 1] * places[..., 1, None] + each[..., 2]


def part_of(plane: Plane, to_picture: Matrix) -> Part:
    """Returns the even box of a picture that the mouth crop lies in, at least 2 x 2 pixels."""
    ends = np.array([[-1, -1, 1], [CROP_PIXELS, -1, 1], [-1, CROP_PIXELS, 1], [CROP_PIXELS, CROP_PIXELS, 1]])
    corners = ends @ to_picture.T.astype(np.float64)
    low, high = np.floor(corners.min(axis=0)) - _REACH, np.ceil(corners.max(axis=0)) + _REACH
    height, width = plane.shape
    left, top = (int(np.clip(one, 0, size)) // 2 * 2 for one, size in zip(low, (width, height), strict=True))
    right, bottom = (int(np.clip(one, 2, size) + 1) // 2 * 2 for one, size in zip(high, (width, height), strict=True))
    return Part(min(left, width - 2), min(top, height - 2), min(right, width), min(bottom, height))


def canvas_side(*sizes: int) -> int:
    """Returns the side of the canvas that planes of these heights and widths fit on."""
    return max(LEAST_SIDE, 1 << (max(sizes) - 1).bit_length())


def tensors_of(
    scene: Scene, part: Part, followed: tuple[float, ...], cover: NDArray[np.float32],
    residual: NDArray[np.float32], cell: int,
) -> tuple[Tensor, ...]:  # fmt: skip
    """Returns the fields of `Scenes` of one session, each with a batch of one."""
    frame, mouth = scene.frame, scene.reference
    height, width = part.bottom - part.top, part.right - part.left
    side = canvas_side(height, width, *mouth.y.shape)
    half = slice(part.top // 2, part.bottom // 2), slice(part.left // 2, part.right // 2)
    cut = frame.y[part.top : part.bottom, part.left : part.right], frame.u[half], frame.v[half]
    planes = np.stack([_canvas(side, *cut), _canvas(side, mouth.y, mouth.u, mouth.v)])
    to_crop, to_picture = frame.to_crop.copy(), frame.to_picture.copy()
    corner = np.array([part.left, part.top], np.float32)
    to_crop[:, 2] += to_crop[:, :2] @ corner
    to_picture[:, 2] -= corner
    arrays = (
        planes,
        np.array([[height, width], mouth.y.shape], np.float32),
        np.stack([to_crop, to_picture, mouth.to_pixels]),
        np.stack([frame.rgb_of_yuv, frame.yuv_of_rgb]),
        np.stack([scene.source, scene.wanted, mouth.points]),
        *_filled_up(scene.neighbours, mouth.crop),
        mouth.skin,
        np.array(followed, np.float32),
        cover,
        residual,
        _offsets(frame.to_picture),
        np.zeros(cell, np.float32),
    )
    return tuple(torch.from_numpy(np.ascontiguousarray(one))[None] for one in arrays)


def _canvas(side: int, y: Plane, u: Plane, v: Plane) -> NDArray[np.uint8]:
    canvas = np.zeros((side + side // 2, side), np.uint8)
    canvas[: y.shape[0], : y.shape[1]] = y
    canvas[side : side + u.shape[0], : u.shape[1]] = u
    canvas[side : side + v.shape[0], side // 2 : side // 2 + v.shape[1]] = v
    return canvas


def _filled_up(neighbours: Neighbours, crop: NDArray[np.uint8]) -> tuple[NDArray[np.generic], ...]:
    """Returns the neighbours' points, the nearest mouth's crop, their half crops and distances.

    Neighbours that are not there repeat the nearest one, infinitely far.
    """
    count = len(neighbours.distance)
    chosen = [*range(count), *[0] * (MAX_NEIGHBOURS - count)]
    distance = np.full(MAX_NEIGHBOURS, np.inf, np.float32)
    distance[:count] = neighbours.distance
    return neighbours.points[chosen], crop, neighbours.half_crops[chosen], distance


def _offsets(to_picture: Matrix) -> NDArray[np.float32]:
    scale = np.sqrt(abs(to_picture[0, 0] * to_picture[1, 1] - to_picture[0, 1] * to_picture[1, 0]))
    places = max(int(scale / np.float32(MAX_SHRINK)), 1)
    return ((np.arange(places, dtype=np.float32) + np.float32(0.5)) / np.float32(places)) - np.float32(0.5)
