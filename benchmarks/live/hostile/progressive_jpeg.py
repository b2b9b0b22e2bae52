"""Writes a progressive JPEG whose scans take a decoder long and few bytes (ITU T.81, annex G)."""

from __future__ import annotations

import struct

_LONGEST_RUN = 32_767  # blocks in one end-of-band run, which G.1.2.2 codes with a category of at most 14
_SHORTEST_RUN = 16_384  # of category 14


def progressive_jpeg(side: int, refinements: int) -> bytes:
    """Returns a grey square of ``side`` pixels, a multiple of 8 and at least 1024: a scan of DC coefficients, one of AC
    coefficients, and so many that refine them. None of them changes anything."""
    blocks = (side // 8) ** 2
    tables = _segment(0xDB, b"\0" + bytes([1] * 64))
    tables += _segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + bytes([1, 0x11, 0]))
    tables += _segment(0xC4, b"\x00" + bytes([1] + [0] * 15) + b"\x00")  # DC: code 0 is category 0
    tables += _segment(0xC4, b"\x10" + bytes([0, 1] + [0] * 14) + b"\xe0")  # AC: code 00 is a run of category 14
    first = _segment(0xDA, bytes([1, 1, 0x00, 0, 0, 0x00])) + bytes(-(-blocks // 8))
    runs = _end_of_band_runs(blocks)
    coarse = _segment(0xDA, bytes([1, 1, 0x00, 1, 63, 0x01])) + runs
    finer = _segment(0xDA, bytes([1, 1, 0x00, 1, 63, 0x10])) + runs
    return b"\xff\xd8" + tables + first + coarse + refinements * finer + b"\xff\xd9"


def _end_of_band_runs(blocks: int) -> bytes:
    """Codes as many blocks without coefficients as evenly long runs."""
    count = -(-blocks // _LONGEST_RUN)
    runs = [blocks // count + (number < blocks % count) for number in range(count)]
    bits = "".join(f"00{run - _SHORTEST_RUN:014b}" for run in runs)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return data.replace(b"\xff", b"\xff\x00")


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
