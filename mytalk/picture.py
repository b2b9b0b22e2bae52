"""Defines a video picture as the engine holds it: planar YUV 4:2:0, so that untouched pixels stay untouched to the
bit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from typing import Literal, Protocol

import av
import cv2
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray

Matrix = Literal["bt601", "bt709", "bt2020"]
Box = tuple[int, int, int, int]
"""``(x0, y0, x1, y1)`` in pixels, half open."""

# (Kr, Kb) of ITU-R BT.601, BT.709 and BT.2020.
_LUMA: dict[Matrix, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
}

# AVColorSpace (ITU-T H.273 MatrixCoefficients) <-> matrix. 2 is "unspecified".
_FROM_H273: dict[int, Matrix] = {1: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 9: "bt2020", 10: "bt2020"}
_TO_H273: dict[Matrix, int] = {"bt601": 6, "bt709": 1, "bt2020": 9}
_MPEG_RANGE, _JPEG_RANGE = 1, 2


class Stored(Protocol):
    """Holds a picture as its file stores it: of more bits or another chroma, perhaps with alpha, perhaps turned."""

    def with_change(self, picture: Picture) -> av.VideoFrame:
        """Returns the stored frame, changed where ``picture`` differs from what was read; to the bit elsewhere."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Holds one upright picture: 8-bit planar YUV 4:2:0 of even width and height. The planes are never written to.

    ``stored``: what a file holds of it, where that is more than this and is to be kept.
    """

    y: NDArray[np.uint8]  # (H, W)
    u: NDArray[np.uint8]  # (H / 2, W / 2)
    v: NDArray[np.uint8]  # (H / 2, W / 2)
    matrix: Matrix = "bt601"
    full_range: bool = False
    matte: Matte | None = None  # of a picture whose person is to be seen before something else
    cutout: Picture | None = None  # the person alone, with the matte, of a picture composed for outputs without one
    stored: Stored | None = field(default=None, repr=False, compare=False)

    @property
    def width(self) -> int:
        """Returns the width in pixels."""
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        """Returns the height in pixels."""
        return int(self.y.shape[0])

    @classmethod
    def from_av(cls, frame: av.VideoFrame) -> Picture:
        """Converts a decoded frame of any pixel format.

        Range and matrix are kept; an odd side grows by one repeated row or column.
        """
        full = frame.color_range == _JPEG_RANGE or frame.format.name.startswith("yuvj")
        rgb_source = frame.format.is_rgb or frame.format.name in ("pal8", "gray")
        matrix: Matrix = _FROM_H273.get(int(frame.colorspace), "bt709" if frame.height >= 720 else "bt601")
        if rgb_source:
            return cls.from_rgb(_rgb(frame, frame.width, frame.height))
        if frame.format.name not in ("yuv420p", "yuvj420p"):
            span = ColorRange.JPEG if full else ColorRange.MPEG
            frame = VideoReformatter().reformat(frame, format="yuv420p", src_color_range=span, dst_color_range=span)
        y, u, v = (_plane(plane).copy() for plane in frame.planes[:3])
        return cls(_even(y), u, v, matrix, full)

    @classmethod
    def from_rgb(cls, rgb: NDArray[np.uint8]) -> Picture:
        """Converts RGB ``(H, W, 3)``: limited range, BT.709 from 720 lines on and BT.601 below."""
        rgb = np.pad(rgb, ((0, rgb.shape[0] % 2), (0, rgb.shape[1] % 2), (0, 0)), mode="edge")
        matrix: Matrix = "bt709" if rgb.shape[0] >= 720 else "bt601"
        y, u, v = _to_yuv(rgb.astype(np.float32), matrix, full_range=False)
        return cls(_round(y), _round(_halve(u)), _round(_halve(v)), matrix)

    def to_av(self) -> av.VideoFrame:
        """Converts to a yuv420p frame with range and matrix set. Its pts is the caller's to set."""
        frame = av.VideoFrame(self.width, self.height, "yuv420p")
        for plane, samples in zip(frame.planes, (self.y, self.u, self.v), strict=True):
            _plane(plane)[:] = samples
        return self._tagged(frame)

    def to_transparent_av(self) -> av.VideoFrame:
        """Converts to a yuva420p frame: the person alone, or all of the picture where nobody was cut out of it."""
        seen = self.cutout or self
        alpha = np.full_like(seen.y, 255) if seen.matte is None else seen.matte.alpha
        frame = av.VideoFrame(seen.width, seen.height, "yuva420p")
        for plane, samples in zip(frame.planes, (seen.y, seen.u, seen.v, alpha), strict=True):
            _plane(plane)[:] = samples
        return seen._tagged(frame)

    def _tagged(self, frame: av.VideoFrame) -> av.VideoFrame:
        frame.color_range = _JPEG_RANGE if self.full_range else _MPEG_RANGE
        frame.colorspace = _TO_H273[self.matrix]
        return frame

    def rgb(self, max_side: int | None = None) -> NDArray[np.uint8]:
        """Converts to RGB ``(h, w, 3)``, made smaller where the longer side is above ``max_side``."""
        shrink = 1 if max_side is None else -(-max(self.width, self.height) // max_side)
        return _rgb(self.to_av(), self.width // shrink, self.height // shrink)

    def even_box(self, box: Box) -> Box:
        """Returns the smallest box with even corners around ``box``, clipped to the picture."""
        x0, y0, x1, y1 = box
        return (max(0, x0 & ~1), max(0, y0 & ~1), min(self.width, (x1 + 1) & ~1), min(self.height, (y1 + 1) & ~1))

    def region_rgb(self, box: Box, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Converts the pixels of an even, clipped box to RGB ``(h, w, 3)``, or at another ``size`` (width, height)."""
        x0, y0, x1, y1 = box
        whole = (x1 - x0, y1 - y0)
        luma, size = self.y[y0:y1, x0:x1], size or whole
        if size != whole:
            # Below a half, what linear sampling leaves out is less than the noise of landmarks, and it takes a tenth.
            area = whole[0] >= 2 * size[0]
            luma = cv2.resize(luma, size, interpolation=cv2.INTER_AREA if area else cv2.INTER_LINEAR)
        chroma = (slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2))
        u, v = (cv2.resize(plane[chroma], size, interpolation=cv2.INTER_LINEAR) for plane in (self.u, self.v))
        return np.asarray(cv2.transform(cv2.merge([luma, u, v]), rgb_of_yuv(self.matrix, self.full_range)), np.uint8)

    def with_region(
        self, box: Box, rgb: NDArray[np.float32] | NDArray[np.uint8], alpha: NDArray[np.float32]
    ) -> Picture:
        """Blends ``rgb`` ``(h, w, 3)`` into an even box of this picture by ``alpha`` ``(h, w)`` in 0..1.

        Blending is done in this picture's own YUV: every sample whose ``alpha`` is 0 stays equal to the bit.
        A chroma sample takes the mean ``alpha`` of its four pixels, and moves only where that is above 0.
        """
        x0, y0, x1, y1 = box
        new_y, new_u, new_v = _to_yuv(np.asarray(rgb, np.float32), self.matrix, self.full_range)
        alpha_c, some = _halve(alpha), np.maximum(alpha, np.float32(1e-6))
        weight = _halve(some)
        y, u, v = self.y.copy(), self.u.copy(), self.v.copy()
        _blend(y[y0:y1, x0:x1], new_y, alpha)
        chroma = (slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2))
        for plane, new in ((u, new_u), (v, new_v)):
            _blend(plane[chroma], _halve(new * some) / weight, alpha_c)
        return replace(self, y=y, u=u, v=v)


@dataclass(frozen=True, slots=True)
class Matte:
    """Says how much of each pixel of a picture is a person's, and what is to be seen behind them.

    ``kept``: the composed picture keeps the person alone as its ``cutout``, for outputs that can be transparent.
    """

    alpha: NDArray[np.uint8]  # (H, W), 255: all of it
    behind: Picture  # of the picture's size, matrix and range
    kept: bool = False


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """Holds a picture with its place in time: ``at`` in media time, and the timestamp its source gave it."""

    picture: Picture
    at: int
    pts: int
    time_base: Fraction


def _rgb(frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
    rgb = frame.to_ndarray(format="rgb24", width=width, height=height, dst_color_range=ColorRange.JPEG)
    return np.asarray(rgb, np.uint8)


def _plane(plane: VideoPlane) -> NDArray[np.uint8]:
    """Returns the samples of a plane without its row padding: a view."""
    rows: NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]


def _even(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    short = (plane.shape[0] % 2, plane.shape[1] % 2)
    return np.pad(plane, ((0, short[0]), (0, short[1])), mode="edge") if any(short) else plane


def _halve(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Averages each 2x2 block: chroma sited in the block's middle."""
    height, width = plane.shape
    return np.asarray(cv2.resize(plane, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.float32)


def _round(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def _blend(target: NDArray[np.uint8], new: NDArray[np.float32], alpha: NDArray[np.float32]) -> None:
    old = target.astype(np.float32)
    mixed = _round(old + alpha * (new - old))
    np.copyto(target, mixed, where=alpha > 0)


def _to_yuv(
    rgb: NDArray[np.float32], matrix: Matrix, full_range: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Converts RGB 0..255 to YUV at full resolution, H.273 equations 38-40."""
    y, u, v = cv2.split(cv2.transform(rgb, yuv_of_rgb(matrix, full_range)))
    return np.asarray(y, np.float32), np.asarray(u, np.float32), np.asarray(v, np.float32)


@cache
def yuv_of_rgb(matrix: Matrix, full_range: bool) -> NDArray[np.float64]:
    """Returns the matrix from RGB 0..255 and 1 to YUV, ``(3, 4)``."""
    kr, kb = _LUMA[matrix]
    luma = np.array([kr, 1 - kr - kb, kb])
    u = (np.array([0, 0, 1]) - luma) * (0.5 / (1 - kb))
    v = (np.array([1, 0, 0]) - luma) * (0.5 / (1 - kr))
    spans = np.array([1.0, 1.0, 1.0]) if full_range else np.array([219, 224, 224]) / 255
    return np.column_stack([np.stack([luma, u, v]) * spans[:, None], [0 if full_range else 16, 128, 128]])


@cache
def rgb_of_yuv(matrix: Matrix, full_range: bool) -> NDArray[np.float64]:
    """Returns the matrix from YUV and 1 to RGB, ``(3, 4)``: the inverse of H.273 equations 38-40."""
    kr, kb = _LUMA[matrix]
    kg, red, blue = 1 - kr - kb, 2 * (1 - kr), 2 * (1 - kb)
    luma, chroma = (1.0, 1.0) if full_range else (255 / 219, 255 / 224)
    linear = np.array([[1, 0, red], [1, -blue * kb / kg, -red * kr / kg], [1, blue, 0]]) * [luma, chroma, chroma]
    return np.column_stack([linear, -linear @ [0 if full_range else 16, 128, 128]])
