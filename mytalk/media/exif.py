"""Finds the orientation that a still's EXIF states, wherever in the file it stands."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_EXIF_ORIENTATION = 0x0112


def orientation_value(data: bytes) -> int | None:
    """Reads EXIF's orientation, 1 to 8, of a JPEG, PNG, WebP or TIFF file; None where it states none."""
    for block in _exif_blocks(data):
        value = _orientation_tag(block.removeprefix(b"Exif\0\0"))
        if value is not None:
            return value
    return None


def _exif_blocks(data: bytes) -> Iterator[bytes]:
    """Yields TIFF structures, some after ``Exif`` and two zeros. What is damaged ends the search."""
    try:
        if data.startswith(b"\xff\xd8"):
            yield from _jpeg_segments(data)
        elif data.startswith(b"\x89PNG\r\n\x1a\n"):
            yield from _png_chunks(data)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            yield from _webp_chunks(data)
        elif data[:4] in (b"II*\0", b"MM\0*"):
            yield data
    except struct.error:
        return


def _jpeg_segments(data: bytes) -> Iterator[bytes]:
    """ITU-T T.81, B.1.1: segments up to the start of the scan."""
    at = 2
    while True:
        marker, length = struct.unpack_from(">HH", data, at)
        if marker >> 8 != 0xFF or marker == 0xFFDA:
            return
        if marker == 0xFFE1 and data.startswith(b"Exif\0\0", at + 4):
            yield data[at + 4 : at + 2 + length]
        at += 2 + length


def _png_chunks(data: bytes) -> Iterator[bytes]:
    """ISO/IEC 15948, 5.3: an eXIf chunk may stand before or after the picture."""
    at = 8
    while True:
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"eXIf":
            yield data[at + 8 : at + 8 + length]
        at += 12 + length


def _webp_chunks(data: bytes) -> Iterator[bytes]:
    """RFC 9649, 2.3: chunks of even length; EXIF stands after the picture."""
    at = 12
    while True:
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            yield data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def _orientation_tag(data: bytes) -> int | None:
    """Reads the orientation in the first directory of a TIFF structure. None where there is none."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return None
    try:
        (directory,) = struct.unpack_from(f"{order}I", data, 4)
        (entries,) = struct.unpack_from(f"{order}H", data, directory)
        for entry in range(entries):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", data, directory + 2 + 12 * entry)
            if tag == _EXIF_ORIENTATION:
                return int(value)
    except struct.error:
        return None
    return None


def ends_whole(data: bytes) -> bool:
    """Says whether a JPEG has its end after its last scan; other kinds are not decoded at all where they end early."""
    if not data.startswith(b"\xff\xd8"):
        return True
    start = data.rfind(b"\xff\xda")
    return start >= 0 and data.find(b"\xff\xd9", start) >= 0
