"""Reads from a picture's bytes what it will cost to decode, without decoding anything: PNG, JPEG, WebP and HEIC."""

from __future__ import annotations

import re
import struct

from mytalk.errors import UnreadableError
from mytalk.media.still import is_heif

MAX_BYTES = 8 << 20
"""Bytes of an uploaded picture."""

MAX_SIDE = 8192
"""Pixels of its longer side."""

MAX_PIXELS = 50_000_000
"""Pixels in all: a telephone's 50 megapixels."""

MAX_SCANS = 64
"""Scans of a JPEG. A progressive one has about ten; each goes through all pixels, for a few hundred bytes."""

_NEXT_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN, _END = 0xDA, 0xD9
_HEIC_SIZE = re.compile(rb"ispe\0\0\0\0(.{8})", re.DOTALL)


def check_size(data: bytes) -> None:
    """Checks that a picture is one and may be decoded. Raises ``UnreadableError``."""
    width, height = size_of(data)
    if not min(width, height) >= 1 or max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        need = f"need at most {MAX_SIDE} a side and {MAX_PIXELS // 10**6} million in all"
        raise UnreadableError(f"portrait: {width} x {height} pixels ({need})")
    if data.startswith(b"\xff\xd8") and (scans := count_scans(data)) > MAX_SCANS:
        raise UnreadableError(f"portrait: a JPEG of {scans} scans (need at most {MAX_SCANS}; save it as baseline)")


def size_of(data: bytes) -> tuple[int, int]:
    """Returns width and height from the header. Raises ``UnreadableError``: no PNG, JPEG, WebP or HEIC."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            width, height = struct.unpack_from(">II", data, 16)
            return width, height
        if data.startswith(b"\xff\xd8"):
            return _jpeg_size(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp_size(data)
        if is_heif(data):
            return _heic_size(data)
    except (struct.error, IndexError) as error:
        raise UnreadableError("portrait: the picture ends in its header (need a whole one)") from error
    raise UnreadableError("portrait: no picture that is known here (need PNG, JPEG, WebP or HEIC)")


def count_scans(data: bytes) -> int:
    """Returns the scans of a JPEG (ITU-T T.81, B.1.1.4: in coded data 0xFF stands before 0x00 or a restart marker)."""
    at, scans = 2, 0
    while (found := _NEXT_MARKER.search(data, at)) is not None and found[0][-1] != _END:
        length = int.from_bytes(data[found.end() : found.end() + 2], "big")
        at = found.end() + length
        scans += found[0][-1] == _START_OF_SCAN
    return scans


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Reads the frame header (ITU-T T.81, B.2.2)."""
    at = 2
    while True:
        marker, length = struct.unpack_from(">HH", data, at)
        if marker >> 8 != 0xFF or length < 2:
            raise UnreadableError("portrait: a damaged JPEG (need a whole one)")
        if marker & 0xFF in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + length


def _webp_size(data: bytes) -> tuple[int, int]:
    """Reads the first chunk (RFC 9649, 2.5 to 2.7)."""
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _heic_size(data: bytes) -> tuple[int, int]:
    """Reads the largest of the sizes that the file's images have: whole, tile, thumbnail (ISO/IEC 23008-12, 6.5.3)."""
    sizes = [struct.unpack(">II", found[1]) for found in _HEIC_SIZE.finditer(data)]
    if not sizes:
        raise UnreadableError("portrait: a HEIC photo without a size (need a whole one)")
    width, height = max(sizes, key=lambda size: size[0] * size[1])
    return width, height
