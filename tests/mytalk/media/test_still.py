"""A still is read upright, over white and whole, wherever its file keeps what that needs."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image

from mytalk.errors import UnreadableError
from mytalk.media import StillSource, open_face
from mytalk.media.exif import orientation_value
from mytalk.media.still import is_heif, read_still
from tests.support.heic import heic_grid


def quarters(height: int = 96, width: int = 128) -> NDArray[np.uint8]:
    """Four colours: red, green, blue and grey, from the upper left, row by row."""
    rgb = np.full((height, width, 3), 128, np.uint8)
    rgb[: height // 2, : width // 2] = (200, 20, 20)
    rgb[: height // 2, width // 2 :] = (20, 160, 20)
    rgb[height // 2 :, : width // 2] = (20, 20, 200)
    return rgb


def saved(pixels: NDArray[np.uint8], kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def exif_of(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def test_orientation_is_found_behind_a_large_picture() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 600, 3)).astype(np.uint8)
    data = saved(noise, "WEBP", exif=exif_of(6), lossless=True)
    assert data.index(b"EXIF") > 256 * 1024
    still = read_still(data, 1000)
    np.testing.assert_array_equal(still.rgb, np.rot90(noise, -1))
    assert still.stored == (600, 400)


def test_orientation_is_found_behind_a_png_picture() -> None:
    plain = saved(quarters(), "PNG")
    block = exif_of(3).tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(block)) + b"eXIf" + block + struct.pack(">I", zlib.crc32(b"eXIf" + block))
    end = plain.index(b"IEND") - 4
    np.testing.assert_array_equal(read_still(plain[:end] + chunk + plain[end:], 500).rgb, quarters()[::-1, ::-1])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_file_cut_anywhere_states_no_orientation_or_its_own(kind: str) -> None:
    data = saved(quarters(), kind, exif=exif_of(8))
    assert orientation_value(data) == 8
    assert {orientation_value(data[:size]) for size in range(0, len(data), 7)} <= {None, 8}


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_what_is_transparent_shows_white(kind: str, tmp_path: Path) -> None:
    rgba = np.dstack([quarters(), np.full((96, 128), 255, np.uint8)])
    rgba[:48] = (255, 0, 255, 0)
    rgba[48:, 64:, 3] = 128
    data = saved(rgba, kind, lossless=True)
    rgb = read_still(data, 500).rgb.astype(int)
    assert np.abs(rgb[:48] - 255).max() <= 1
    assert np.abs(rgb[48:, 64:] - 191).max() <= 2
    assert np.abs(rgb[48:, :64] - (20, 20, 200)).max() <= 1
    (tmp_path / "a").write_bytes(data)
    face = open_face(tmp_path / "a")
    assert isinstance(face, StillSource)
    assert np.abs(face.picture.rgb()[4:40, 4:124].astype(int) - 255).max() <= 2


def test_a_large_picture_is_made_smaller_before_it_is_turned() -> None:
    still = read_still(saved(quarters(200, 400), "JPEG", exif=exif_of(6)), 100)
    assert still.rgb.shape == (100, 50, 3)
    assert np.abs(still.rgb[10, 40].astype(int) - (200, 20, 20)).max() < 12


def test_a_heic_photo_is_read_whole(tmp_path: Path) -> None:
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(quarters(256, 384))).save(file, quality=90)
    data = file.getvalue()
    assert is_heif(data)
    still = read_still(data, 1000)
    assert still.rgb.shape == (256, 384, 3)
    assert np.abs(still.rgb[30, 30].astype(int) - (200, 20, 20)).max() < 12
    (tmp_path / "photo.heic").write_bytes(data)
    face = open_face(tmp_path / "photo.heic")
    assert isinstance(face, StillSource)
    assert (face.info.width, face.info.height) == (384, 256)


def test_a_grid_of_tiles_is_put_together(tmp_path: Path) -> None:
    whole = quarters(256, 256)
    tiles = [whole[top : top + 128, left : left + 128] for top in (0, 128) for left in (0, 128)]
    (tmp_path / "grid.heic").write_bytes(heic_grid(tiles, 2))
    face = open_face(tmp_path / "grid.heic")
    assert isinstance(face, StillSource)
    rgb = face.picture.rgb().astype(int)
    assert rgb.shape == (256, 256, 3)
    wanted = [(200, 20, 20), (20, 160, 20), (20, 20, 200), (128, 128, 128)]
    corners = [rgb[64, 64], rgb[64, 192], rgb[192, 64], rgb[192, 192]]
    assert np.abs(np.array(corners) - wanted).max() < 16


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", bytes(100), b"\0\0\0\x18ftypheic" + bytes(40)]
)
def test_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableError, match="damaged, or of a kind"):
        read_still(data, 500)


def test_a_jpeg_that_ends_early_says_so() -> None:
    data = saved(np.random.default_rng(0).integers(0, 256, (96, 128, 3)).astype(np.uint8), "JPEG")
    assert read_still(data, 500).whole
    assert not read_still(data[: len(data) // 2], 500).whole
