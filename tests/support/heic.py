"""Writes HEIC photos as telephones do: a grid of tiles. ISO/IEC 14496-12 and 23008-12."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image


def heic_grid(tiles: Sequence[NDArray[np.uint8]], columns: int) -> bytes:
    """Puts equal tiles ``(H, W, 3)`` side by side, row by row."""
    coded = [_coded(tile) for tile in tiles]
    height, width = tiles[0].shape[:2]
    rows = len(tiles) // columns
    items = range(2, 2 + len(tiles))
    ftyp = _box("ftyp", b"heic", _number(0, 4), b"mif1heic")
    grid = bytes([0, 0, rows - 1, columns - 1]) + _number(columns * width, 2) + _number(rows * height, 2)
    properties = [coded[0][0], _size_property(width, height), _size_property(columns * width, rows * height)]
    uses = [_number(1, 2) + bytes([1, 3]), *(_number(item, 2) + bytes([2, 0x81, 2]) for item in items)]

    def meta(first: int) -> bytes:
        places, at = [_number(1, 2) + _number(1, 2) + _place(0, len(grid))], first
        for item, (_, data) in zip(items, coded, strict=True):
            places.append(_number(item, 2) + _number(0, 2) + _place(at, len(data)))
            at += len(data)
        count = _number(len(places), 2)
        return _box(
            "meta",
            bytes(4),
            _box("hdlr", bytes(8), b"pict", bytes(13)),
            _box("pitm", bytes(4), _number(1, 2)),
            _box("iinf", bytes(4), count, _entry(1, b"grid"), *(_entry(item, b"hvc1") for item in items)),
            _box(
                "iref", bytes(4), _box("dimg", _number(1, 2), _number(len(tiles), 2), *(_number(i, 2) for i in items))
            ),
            _box("iprp", _box("ipco", *properties), _box("ipma", bytes(4), _number(len(uses), 4), *uses)),
            _box("iloc", b"\1\0\0\0", b"\x44\0", count, *places),
            _box("idat", grid),
        )

    head = ftyp + meta(len(ftyp) + len(meta(0)) + 8)
    return head + _box("mdat", *(data for _, data in coded))


def _coded(tile: NDArray[np.uint8]) -> tuple[bytes, bytes]:
    """Encodes one tile, and returns its ``hvcC`` box and its data."""
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(tile)).save(file, quality=90)
    data = file.getvalue()
    return _found(data, b"hvcC"), _found(data, b"mdat")[8:]


def _found(data: bytes, kind: bytes) -> bytes:
    at = data.index(kind) - 4
    return data[at : at + int.from_bytes(data[at : at + 4], "big")]


def _box(kind: str, *parts: bytes) -> bytes:
    payload = b"".join(parts)
    return _number(8 + len(payload), 4) + kind.encode() + payload


def _entry(item: int, kind: bytes) -> bytes:
    return _box("infe", b"\2\0\0\0", _number(item, 2), _number(0, 2), kind, b"\0")


def _place(at: int, size: int) -> bytes:
    return _number(0, 2) + _number(1, 2) + _number(at, 4) + _number(size, 4)


def _size_property(width: int, height: int) -> bytes:
    return _box("ispe", bytes(4), _number(width, 4), _number(height, 4))


def _number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")
