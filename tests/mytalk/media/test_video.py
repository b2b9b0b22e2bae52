from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mytalk.errors import UnreadableError
from mytalk.media import StillSource, VideoReader, open_face
from mytalk.media.video import MAX_IMAGE_SIDE
from tests.support.films import number_of, numbered, write_film, write_sound


def test_frames_keep_order_rate_and_media_time(tmp_path: Path) -> None:
    reader = VideoReader(write_film(tmp_path / "film.mp4", map(numbered, range(30)), rate=Fraction(30000, 1001)))
    frames = list(reader.frames())
    assert [number_of(frame.picture.y) for frame in frames] == list(range(30))
    assert [frame.pts * frame.time_base for frame in frames] == [n * Fraction(1001, 30000) for n in range(30)]
    assert [frame.at for frame in frames[:3]] == [0, 534, 1068]
    assert reader.info.rate == Fraction(30000, 1001)
    assert reader.warnings == []


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "avi", "webm"])
def test_every_container_and_codec_gives_the_same_pictures(tmp_path: Path, ending: str) -> None:
    codec = {"avi": "mpeg4", "webm": "libvpx"}.get(ending, "libx264")
    options = {"b": "4M"}
    path = write_film(tmp_path / f"film.{ending}", map(numbered, range(20)), codec=codec, options=options)
    frames = list(VideoReader(path).frames())
    assert [number_of(frame.picture.y) for frame in frames] == list(range(20))
    assert [frame.at for frame in frames] == [640 * n for n in range(20)]


def test_variable_rate_with_a_late_start_begins_at_zero_and_keeps_its_steps(tmp_path: Path) -> None:
    stamps = [9000, 12000, 12500, 20000, 29000, 29001]
    path = write_film(tmp_path / "film.mkv", map(numbered, range(6)), stamps=stamps, time_base=Fraction(1, 1000))
    assert [frame.pts for frame in VideoReader(path).frames()] == [0, 3000, 3500, 11000, 20000, 20001]


def test_video_without_timestamps_stands_at_its_average_rate(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.h264", map(numbered, range(20)))
    assert [frame.at for frame in VideoReader(path).frames()] == [640 * n for n in range(20)]


@pytest.mark.parametrize("tags", [(2, 1, 1, 1), (1, 1, 1, 1), (1, 5, 5, 6), (1, 9, 9, 16)])
def test_range_and_colour_tags_are_read_and_no_sample_changes(tmp_path: Path, tags: tuple[int, int, int, int]) -> None:
    planes = np.random.default_rng(0).integers(16, 235, (180, 160)).astype(np.uint8)
    path = write_film(tmp_path / "film.mkv", [planes] * 3, tags=tags, codec="libx264", options={"qp": "0"})
    reader = VideoReader(path)
    colour = reader.info.colour
    assert (colour.range, colour.matrix, colour.primaries, colour.transfer) == tags
    picture = next(reader.frames()).picture
    assert picture.full_range == (tags[0] == 2)
    assert picture.matrix == {1: "bt709", 5: "bt601", 9: "bt2020"}[tags[1]]
    np.testing.assert_array_equal(picture.y, planes[:120])


# Where the white corner (left upper in the stored picture) is displayed.
@pytest.mark.parametrize(
    ("turned", "corner"),
    [
        ((90.0, False), "left lower"),
        ((-90.0, False), "right upper"),
        ((180.0, False), "right lower"),
        ((0.0, True), "right upper"),
        ((90.0, True), "right lower"),
    ],
)
def test_a_display_matrix_is_applied_to_the_pixels(tmp_path: Path, turned: tuple[float, bool], corner: str) -> None:
    reader = VideoReader(write_film(tmp_path / "film.mp4", map(numbered, range(3)), turned=turned))
    picture = next(reader.frames()).picture
    assert (picture.width, picture.height) == ((120, 160) if abs(turned[0]) == 90 else (160, 120))
    assert (reader.info.width, reader.info.height) == (picture.width, picture.height)
    assert _white_corner(picture.y) == corner


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize(
    ("value", "corner"),
    [
        (1, "left upper"),
        (2, "right upper"),
        (3, "right lower"),
        (4, "left lower"),
        (5, "left upper"),
        (6, "right upper"),
        (7, "right lower"),
        (8, "left lower"),
    ],
)
def test_exif_orientation_is_applied_to_an_image(tmp_path: Path, ending: str, value: int, corner: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    picture = np.repeat(numbered(0)[:120, :, None], 3, axis=2)
    path = tmp_path / f"portrait.{ending}"
    Image.fromarray(picture).save(path, exif=exif)
    face = open_face(path)
    assert isinstance(face, StillSource)
    assert (face.picture.width, face.picture.height) == ((120, 160) if value > 4 else (160, 120))
    assert _white_corner(face.picture.y) == corner


def test_an_image_name_may_hold_colons_and_percent_signs(tmp_path: Path) -> None:
    path = tmp_path / "a:b %03d 50%.png"
    path.write_bytes(_png(np.full((40, 60, 3), 200, np.uint8)))
    face = open_face(path)
    assert face.still
    assert (face.info.width, face.info.height) == (60, 40)


def test_a_large_photo_becomes_a_film_that_players_can_show(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(_png(np.zeros((1500, 3000, 3), np.uint8)))
    face = open_face(path)
    assert (face.info.width, face.info.height) == (MAX_IMAGE_SIDE, MAX_IMAGE_SIDE // 2)
    assert "3000 x 1500" in face.warnings[0]


def test_image_colours_survive_the_way_to_yuv(tmp_path: Path) -> None:
    rgb = np.zeros((64, 64, 3), np.uint8)
    rgb[:32, :32], rgb[:32, 32:], rgb[32:, :32] = (200, 40, 30), (30, 160, 60), (240, 240, 240)
    (tmp_path / "a.png").write_bytes(_png(rgb))
    face = open_face(tmp_path / "a.png")
    assert isinstance(face, StillSource)
    assert np.abs(face.picture.rgb()[8:24, 8:24].astype(int) - (200, 40, 30)).max() <= 4
    assert np.abs(face.picture.rgb()[40:56, 8:24].astype(int) - 240).max() <= 4


def test_odd_sides_grow_to_even_ones_and_say_so(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    planes = [np.full((45, 61, 3), 90, np.uint8)] * 3
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 61, 45, "yuv444p"
        for index, rgb in enumerate(planes):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    reader = VideoReader(path)
    assert {(frame.picture.width, frame.picture.height) for frame in reader.frames()} == {(62, 46)}
    assert "61 x 45" in reader.warnings[0]


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_a_cut_off_tail_is_a_warning_and_what_was_read_is_used(tmp_path: Path, ending: str) -> None:
    options = {"tune": "zerolatency"}
    whole = write_film(tmp_path / f"whole.{ending}", map(_noisy, range(60)), options=options)
    data = whole.read_bytes()
    if ending == "mp4":
        data = _faststart(whole, tmp_path)
    cut = tmp_path / f"cut.{ending}"
    cut.write_bytes(data[: len(data) * 6 // 10])
    reader = VideoReader(cut)
    frames = list(reader.frames())
    assert 20 < len(frames) < 50
    assert len(reader.warnings) >= 1
    assert str(cut) in reader.warnings[0]


def test_damage_in_the_middle_is_a_warning(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", map(_noisy, range(60)))
    data = bytearray(path.read_bytes())
    for index in range(len(data) // 2, len(data) // 2 + 2000):
        data[index] ^= 0x5A
    path.write_bytes(bytes(data))
    reader = VideoReader(path)
    assert len(list(reader.frames())) > 30
    assert any("damaged" in warning for warning in reader.warnings)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nothing.mp4", None, "no such file"),
        ("empty.mp4", b"", "not a picture, video or sound"),
        ("noise.mp4", bytes(range(256)) * 40, "not a picture, video or sound"),
        ("notes.txt", b"dear diary\n" * 50, "not a picture, video or sound"),
    ],
)
def test_a_file_that_is_no_video_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableError) as caught:
        open_face(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="is a folder"):
        open_face(tmp_path)


def test_a_sound_file_is_no_video(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "voice.wav", np.zeros((1, 4000), np.float32), 8000, layout="mono")
    with pytest.raises(UnreadableError, match="no picture in it"):
        open_face(path)


def test_an_absurd_picture_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(_png_of_zeros(9_000, 9_000))
    with pytest.raises(UnreadableError, match="8192"):
        open_face(path)


def _white_corner(luma: NDArray[np.uint8]) -> str:
    height, width = luma.shape
    corners = {
        "left upper": luma[:10, :10],
        "right upper": luma[:10, width - 10 :],
        "left lower": luma[height - 10 :, :10],
        "right lower": luma[height - 10 :, width - 10 :],
    }
    return max(corners, key=lambda corner: float(corners[corner].mean()))


def _noisy(index: int) -> NDArray[np.uint8]:
    return np.random.default_rng(index).integers(30, 220, (180, 160)).astype(np.uint8)


def _faststart(path: Path, folder: Path) -> bytes:
    with (
        av.open(str(path)) as source,
        av.open(str(folder / "fast.mp4"), "w", options={"movflags": "+faststart"}) as out,
    ):
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return (folder / "fast.mp4").read_bytes()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(rgb: NDArray[np.uint8]) -> bytes:
    height, width = rgb.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in rgb)
    return _png_file(width, height, zlib.compress(rows))


def _png_of_zeros(width: int, height: int) -> bytes:
    packer, row = zlib.compressobj(), bytes(1 + 3 * width)
    return _png_file(width, height, b"".join(packer.compress(row) for _ in range(height)) + packer.flush())


def _png_file(width: int, height: int, data: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _interlaced(path: Path) -> Path:
    """Fields of two moments in each frame: a white bar that moves 4 pixels a field, top field first."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25, options={"flags": "+ildct+ilme", "top": "1", "b": "4M"})
        stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        for index in range(8):
            planes = np.full((192, 160), 128, np.uint8)
            planes[:128] = 40
            for field in (0, 1):
                left = 20 + 4 * (2 * index + field)
                planes[field:128:2, left : left + 24] = 220
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_interlaced_film_is_made_whole_and_says_so(tmp_path: Path) -> None:
    reader = VideoReader(_interlaced(tmp_path / "film.mpg"))
    frames = list(reader.frames())
    with av.open(str(tmp_path / "film.mpg")) as container:
        stored = [frame.to_ndarray()[:128].astype(int) for frame in container.decode(video=0)]

    def combs(luma: np.ndarray) -> float:
        """Measures how much lines differ from both of their neighbours, which are of the other field."""
        return float(np.abs(2 * luma[1:-1] - luma[:-2] - luma[2:]).mean())

    assert len(frames) == len(stored) == 8
    assert combs(np.stack(stored)[2]) > 8
    assert combs(frames[2].picture.y.astype(int)) < 0.3 * combs(stored[2])
    steps = {after.at - before.at for before, after in pairwise(frames)}
    assert steps == {640}
    assert [warning for warning in reader.warnings if "interlaced" in warning]
    assert len(reader.span(2, 5)) == 4
