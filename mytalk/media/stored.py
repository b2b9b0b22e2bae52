"""Lays a changed mouth over a picture as its file stores it, at the file's own depth, chroma and alpha."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import av
import cv2
import numpy as np
from av.buffer import Buffer
from av.video.format import VideoFormat
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from mytalk.media.orientation import Orientation
from mytalk.picture import Box, Picture

if TYPE_CHECKING:
    from av.video.format import VideoFormatComponent

Samples = NDArray[np.uint8] | NDArray[np.uint16]

PLAIN = frozenset({"yuv420p", "yuvj420p"})
"""Pixel formats that a ``Picture`` holds as they are."""

_LIMITED_RANGE, _FULL_RANGE = 1, 2

# Formats whose samples share a plane, and those of the same samples in planes of their own.
_PLANAR = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "p010le": "yuv420p10le",
    "p012le": "yuv420p12le",
    "p016le": "yuv420p16le",
    "p210le": "yuv422p10le",
    "p212le": "yuv422p12le",
    "p216le": "yuv422p16le",
    "p410le": "yuv444p10le",
    "rgb24": "gbrp",
    "bgr24": "gbrp",
    "rgb0": "gbrp",
    "bgr0": "gbrp",
    "0rgb": "gbrp",
    "0bgr": "gbrp",
    "rgba": "gbrap",
    "bgra": "gbrap",
    "argb": "gbrap",
    "abgr": "gbrap",
    "rgb48le": "gbrp16le",
    "rgb48be": "gbrp16le",
    "bgr48le": "gbrp16le",
    "rgba64le": "gbrap16le",
    "rgba64be": "gbrap16le",
    "bgra64le": "gbrap16le",
}


@dataclass(frozen=True, slots=True)
class MasteringDisplay:
    """Holds what HDR10 says of the display that a film was graded on, as x265 and x264 write it.

    Chromaticities are in 0.00002, luminances in 0.0001 cd/m2 (SMPTE ST 2086); ``light``: MaxCLL and MaxFALL in cd/m2.
    """

    display: str | None  # G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)
    light: tuple[int, int] | None

    @classmethod
    def of_frame(cls, frame: av.VideoFrame) -> MasteringDisplay | None:
        """Reads the side data of a decoded frame; None where it says neither."""
        display, light = side_data(frame, "MASTERING_DISPLAY_METADATA"), side_data(frame, "CONTENT_LIGHT_LEVEL")
        text = None if display is None else _display_text(display)
        levels = None if light is None else struct.unpack("=2I", light[:8])
        return None if text is None and levels is None else cls(text, levels)


def side_data(frame: av.VideoFrame, kind: str) -> bytes | None:
    """Returns one kind of a frame's side data; None where it has none, or one that the binding cannot name."""
    try:
        data = cast(Buffer | None, frame.side_data.get(kind))
    except ValueError:
        return None
    return None if data is None else bytes(data)


def _display_text(data: bytes) -> str | None:
    """Reads FFmpeg's AVMasteringDisplayMetadata: red, green, blue, white as (x, y), least and most light; two flags."""
    numbers = struct.unpack("=22i", data[:88])
    if not (numbers[20] and numbers[21]):
        return None
    values = [numbers[at] / numbers[at + 1] for at in range(0, 20, 2)]
    red, green, blue, white = ([round(value * 50_000) for value in values[at : at + 2]] for at in range(0, 8, 2))
    least, most = (round(value * 10_000) for value in values[8:])
    points = zip("GBR", (green, blue, red), strict=True)
    return "".join(f"{name}({x},{y})" for name, (x, y) in [*points, ("WP", white)]) + f"L({most},{least})"


@dataclass(frozen=True, slots=True)
class StoredFormat:
    """Holds how a film's pictures lie in its file: what a writer needs to give them back so."""

    pixels: PixelFormat
    width: int  # as stored, before the orientation turns it
    height: int
    display_matrix: tuple[int, ...] | None  # FFmpeg's nine numbers; None: upright
    mastering: MasteringDisplay | None

    @property
    def turned(self) -> bool:
        """Says whether width and height change places when the picture is turned upright."""
        return self.display_matrix is not None and self.display_matrix[0] == 0

    @property
    def bytes(self) -> int:
        """Returns the memory of one picture."""
        across, down = self.pixels.chroma
        colour = 0 if self.pixels.gray else 2
        samples = 1 + self.pixels.alpha + colour / (1 << (across + down))
        return round(self.width * self.height * samples * (2 if self.pixels.bits > 8 else 1))


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """Describes the samples of one of FFmpeg's pixel formats."""

    name: str
    bits: int  # of the deepest component
    chroma: tuple[int, int]  # log2 of how many luma samples share a chroma sample, across and down
    alpha: bool
    rgb: bool
    gray: bool

    @classmethod
    def of(cls, name: str) -> PixelFormat:
        """Looks a format up by its name. Raises ValueError for one that FFmpeg does not know."""
        pixels = VideoFormat(name, 64, 64)
        parts = pixels.components
        gray = len([part for part in parts if not part.is_alpha]) == 1
        across, down = (0, 0) if gray else (_log2(64 // parts[1].width), _log2(64 // parts[1].height))
        alpha = any(part.is_alpha for part in parts) or name == "pal8"
        return cls(name, max(part.bits for part in parts), (across, down), alpha, bool(pixels.is_rgb), gray)

    @property
    def words(self) -> str:
        """Says what the format holds, for errors and warnings."""
        names = {(0, 0): "4:4:4", (1, 0): "4:2:2", (1, 1): "4:2:0", (2, 0): "4:1:1", (0, 1): "4:4:0"}
        kind = "RGB" if self.rgb else "grey" if self.gray else names.get(self.chroma, self.name)
        return f"{self.bits}-bit {kind}{' with alpha' if self.alpha else ''}"


def planar(name: str) -> str | None:
    """Returns the planar format of the same samples; None where this module cannot lay a mouth over them."""
    name = _PLANAR.get(name, name)
    if name == "pal8" or "f16" in name or "f32" in name:
        return None
    pixels = VideoFormat(name, 64, 64)
    parts = pixels.components
    apart = len({part.plane for part in parts}) == len(parts) and (pixels.is_planar or len(parts) == 1)
    known = len(parts) >= 3 or (len(parts) == 1 and name.startswith("gray"))
    fits = all(part.bits <= 16 for part in parts) and not (pixels.is_big_endian and parts[0].bits > 8)
    return name if apart and known and fits and name != "monow" else None


class StoredPicture:
    """Holds a decoded frame beside the 8-bit ``Picture`` that the engine sees of it.

    ``with_change`` gives the frame back with the engine's changes added to its own samples: a sample that the engine
    left alone stays equal to the bit, the finest bits of the others stay the source's own, and alpha is not touched.
    The frame's side data (captions, dynamic HDR) stays with it. One thread at a time.
    """

    def __init__(self, frame: av.VideoFrame, seen: Picture, orientation: Orientation) -> None:
        """``seen``: the picture as stored, before ``orientation`` turned it upright."""
        name = planar(frame.format.name)
        assert name is not None
        self._frame = frame if name == frame.format.name else reformatted(frame, name)
        self._seen, self._orientation = seen, orientation
        self._before: list[tuple[VideoFormatComponent, tuple[slice, slice], Samples]] = []

    def with_change(self, picture: Picture) -> av.VideoFrame:
        """Returns the stored frame as the engine's ``picture``, upright, changed it.

        The frame is the same object at every call; what an earlier call changed is taken back first.
        """
        back = self._orientation.back
        y, u, v = (back(plane) for plane in (picture.y, picture.u, picture.v))
        if self._before:
            self._restore()
        box = _changed_box(self._seen, y, u, v)
        if box is None:
            return self._frame
        self._frame.make_writable()  # the decoder may need the samples as they were
        after = Picture(y, u, v, self._seen.matrix, self._seen.full_range)
        if self._frame.format.is_rgb or self._frame.format.name.startswith("gray"):
            self._add_rgb(after, box)
        else:
            self._add_yuv(after, box)
        return self._frame

    def _restore(self) -> None:
        self._frame.make_writable()
        for part, region, samples in self._before:
            _samples(self._frame.planes[part.plane], part.bits)[region] = samples
        self._before = []

    def _add_yuv(self, after: Picture, box: Box) -> None:
        x0, y0, x1, y1 = box
        half = slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2)
        whole = slice(y0, y1), slice(x0, x1)
        for part, new, old, region in zip(
            self._frame.format.components[:3],
            (after.y, after.u, after.v),
            (self._seen.y, self._seen.u, self._seen.v),
            (whole, half, half),
            strict=True,
        ):
            self._add(part, new[region].astype(np.int32) - old[region], box)

    def _add_rgb(self, after: Picture, box: Box) -> None:
        moved = after.region_rgb(box).astype(np.int32) - self._seen.region_rgb(box)
        moved[~_changed(after, self._seen, box)] = 0
        parts = self._frame.format.components
        if len(parts) == 1:
            self._add(parts[0], np.rint(moved.mean(axis=2)).astype(np.int32), box)
            return
        for channel, part in enumerate(parts[:3]):
            self._add(part, np.ascontiguousarray(moved[..., channel]), box)

    def _add(self, part: VideoFormatComponent, moved: NDArray[np.int32], box: Box) -> None:
        """Adds 8-bit differences within ``box``, of any chroma's size, to the samples of one component."""
        samples = _samples(self._frame.planes[part.plane], part.bits)
        across, down = (
            -(-size // count) for size, count in ((self._frame.width, part.width), (self._frame.height, part.height))
        )
        x0, y0, x1, y1 = box
        region = (
            slice(y0 // down, min(-(-y1 // down), samples.shape[0])),
            slice(x0 // across, min(-(-x1 // across), samples.shape[1])),
        )
        old = samples[region].copy()
        size = -(-(x1 - x0) // across), -(-(y1 - y0) // down)
        if moved.shape != (size[1], size[0]):
            moved = np.rint(cv2.resize(moved.astype(np.float32), size, interpolation=cv2.INTER_NEAREST)).astype(
                np.int32
            )
        most = (1 << part.bits) - 1
        new = old + (moved[: old.shape[0], : old.shape[1]] << (part.bits - 8))
        samples[region] = np.clip(new, 0, most).astype(samples.dtype)
        self._before.append((part, region, old))


def _changed_box(seen: Picture, y: NDArray[np.uint8], u: NDArray[np.uint8], v: NDArray[np.uint8]) -> Box | None:
    """Returns the smallest box, its corners multiples of 4, around every sample that differs; None where none does."""
    if y is seen.y and u is seen.u and v is seen.v:
        return None
    chroma = (u != seen.u) | (v != seen.v)
    rows = np.flatnonzero((y != seen.y).any(axis=1)), 2 * np.flatnonzero(chroma.any(axis=1))
    columns = np.flatnonzero((y != seen.y).any(axis=0)), 2 * np.flatnonzero(chroma.any(axis=0))
    if not (len(rows[0]) or len(rows[1])):
        return None
    tops, lefts = np.concatenate(rows), np.concatenate(columns)
    bottom, right = int(tops.max()) + 2, int(lefts.max()) + 2
    return (
        int(lefts.min()) & ~3,
        int(tops.min()) & ~3,
        min(seen.width, (right + 3) & ~3),
        min(seen.height, (bottom + 3) & ~3),
    )


def _changed(after: Picture, before: Picture, box: Box) -> NDArray[np.bool_]:
    """Says of each pixel of an even box whether any of its samples differs."""
    x0, y0, x1, y1 = box
    half = slice(y0 // 2, y1 // 2), slice(x0 // 2, x1 // 2)
    chroma = ((after.u[half] != before.u[half]) | (after.v[half] != before.v[half])).astype(np.uint8)
    wide = cv2.resize(chroma, (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST) > 0
    return np.asarray(wide | (after.y[y0:y1, x0:x1] != before.y[y0:y1, x0:x1]), np.bool_)


def _samples(plane: VideoPlane, bits: int) -> Samples:
    """Returns the samples of a plane without its row padding: a view."""
    rows: NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    samples: Samples = rows.view(np.uint16) if bits > 8 else rows
    return samples[:, : plane.width]


def converted(frame: av.VideoFrame, name: str, matrix: int) -> av.VideoFrame:
    """Converts to a format of other samples; RGB becomes YCbCr of an H.273 ``matrix``, limited range."""
    if frame.format.is_rgb and not VideoFormat(name).is_rgb:
        return VideoReformatter().reformat(
            frame, format=name, dst_colorspace=matrix, src_color_range=_FULL_RANGE, dst_color_range=_LIMITED_RANGE
        )
    return reformatted(frame, name)


def reformatted(frame: av.VideoFrame, name: str) -> av.VideoFrame:
    """Converts a frame to another format of the same samples, the range as it is."""
    span = int(frame.color_range)
    return VideoReformatter().reformat(frame, format=name, src_color_range=span, dst_color_range=span)


def _log2(ratio: int) -> int:
    return ratio.bit_length() - 1
