"""Opens a still picture of any kind: upright, over white where it is transparent, and whole where it is a grid."""

from __future__ import annotations

import io
from dataclasses import dataclass

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from mytalk.errors import UnreadableError
from mytalk.media import exif
from mytalk.media.decoder import MAX_SIDE
from mytalk.media.orientation import from_exif

_DAMAGED = "the picture is damaged, or of a kind that cannot be read"
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis"})
_OPTIONS = {"protocol_whitelist": "", "max_pixels": str(MAX_SIDE * MAX_SIDE)}


@dataclass(frozen=True, slots=True)
class Still:
    """Holds one picture as it is displayed."""

    rgb: NDArray[np.uint8]  # (H, W, 3)
    stored: tuple[int, int]  # width and height in the file, before it was made smaller or turned
    whole: bool  # False: the file ends within the picture


def read_still(data: bytes, max_side: int) -> Still:
    """Decodes one picture from a file's bytes, at most ``max_side`` pixels a side.

    EXIF's orientation is applied wherever it stands, and that of a HEIC photo, whose tiles are put together.
    Raises UnreadableError: no picture, damaged, or larger than ``MAX_SIDE`` a side.
    """
    if is_heif(data):
        return _read_heif(data, max_side)
    frame = _decoded(data)
    stored = frame.width, frame.height
    _check_size(*stored)
    width, height = _shrunk_size(stored, max_side)
    rgba = np.asarray(frame.to_ndarray(format="rgba", width=width, height=height, interpolation="AREA"), np.uint8)
    rgb = from_exif(exif.orientation_value(data)).turn(_over_white(rgba))
    return Still(np.ascontiguousarray(rgb), stored, exif.ends_whole(data))


def is_heif(data: bytes) -> bool:
    """Says whether a file begins as a HEIC photo does. ISO/IEC 23008-12, annex B: the brands of HEVC-coded images."""
    size = int.from_bytes(data[:4], "big")
    brands = {data[8:12], *(data[at : at + 4] for at in range(16, min(size, len(data)), 4))}
    return data[4:8] == b"ftyp" and bool(brands & _HEIF_BRANDS)


def _decoded(data: bytes) -> av.VideoFrame:
    try:
        with av.open(io.BytesIO(data), "r", format=_format(data), options=_OPTIONS) as container:
            stream = next(iter(container.streams.video), None)
            if not isinstance(stream, VideoStream):
                raise UnreadableError(_DAMAGED)
            stream.codec_context.thread_count = 1
            stream.codec_context.options = {"max_pixels": _OPTIONS["max_pixels"]}
            frame = next(container.decode(stream), None)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise UnreadableError(_DAMAGED) from error
    if frame is None:
        raise UnreadableError(_DAMAGED)
    return frame


def _format(data: bytes) -> str | None:
    """Names the demuxer of the usual kinds by their first bytes; None leaves it to FFmpeg."""
    heads = {b"\x89PNG\r\n\x1a\n": "png_pipe", b"\xff\xd8": "jpeg_pipe"}
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp_pipe"
    return next((name for head, name in heads.items() if data.startswith(head)), None)


def _read_heif(data: bytes, max_side: int) -> Still:
    import pillow_heif  # only those who have such photos pay for loading it

    try:
        opened = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
        _check_size(*opened.size)
        pixels = np.asarray(opened)
    except (ValueError, RuntimeError, SyntaxError, EOFError, OSError) as error:
        raise UnreadableError(_DAMAGED) from error
    width, height = _shrunk_size(opened.size, max_side)
    if (width, height) != opened.size:
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    rgb = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels
    return Still(np.ascontiguousarray(_over_white(rgb) if rgb.shape[2] == 4 else rgb), opened.size, True)


def _check_size(width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE or min(width, height) < 1:
        raise UnreadableError(f"a picture of {width} x {height} is too large (at most {MAX_SIDE} on a side)")


def _shrunk_size(stored: tuple[int, int], max_side: int) -> tuple[int, int]:
    width, height = stored
    share = min(1.0, max_side / max(width, height))
    if share == 1:
        return width, height
    return max(2, round(width * share)), max(2, round(height * share))


def _over_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = rgba[..., 3:].astype(np.float32) / 255
    return np.asarray(np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha)), np.uint8)
