from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from mytalk.media import FilmWriter, SpeechReader, VideoReader
from mytalk.media.encoding import Encoding
from mytalk.media.stored import PixelFormat, planar
from mytalk.picture import VideoFrame
from tests.mytalk.support.stored_films import noise_frame, read_planes, samples_of, write_noise
from tests.support.films import speech_like, write_sound

BOX = (20, 12, 44, 32)


@pytest.fixture
def speech(tmp_path: Path) -> SpeechReader:
    return SpeechReader(write_sound(tmp_path / "speech.wav", speech_like(0.2, 16000), 16000, layout="mono"))


def _with_mouth(frame: VideoFrame, box: tuple[int, int, int, int] = BOX) -> VideoFrame:
    """Does what the engine does: paints some of the picture anew."""
    alpha = np.zeros((box[3] - box[1], box[2] - box[0]), np.float32)
    alpha[2:-2, 4:-4] = 0.7
    painted = np.full((*alpha.shape, 3), (200, 40, 60), np.uint8)
    return VideoFrame(frame.picture.with_region(box, painted, alpha), frame.at, frame.pts, frame.time_base)


def _dub(source: Path, out: Path, speech: SpeechReader, encoding: Encoding) -> None:
    reader = VideoReader(source, stored=True)
    with FilmWriter(out, reader.info, speech, encoding=encoding) as writer:
        for frame in reader.frames():
            writer.write(_with_mouth(frame) if frame.pts else frame)
        writer.finish(sound="fill")


@pytest.mark.parametrize(
    "pixels",
    ["yuv420p10le", "yuv422p10le", "yuv444p12le", "yuv422p", "yuva444p10le", "bgr0", "bgra", "gbrp10le", "gray16le",
     "yuv411p", "yuv420p16le"],
)  # fmt: skip
def test_samples_outside_the_mouth_come_back_to_the_bit(tmp_path: Path, speech: SpeechReader, pixels: str) -> None:
    source = write_noise(tmp_path / "in.mkv", pixels)
    _dub(source, tmp_path / "out.mkv", speech, Encoding(codec="ffv1"))
    before, after = read_planes(source), read_planes(tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as film:
        assert film.streams.video[0].codec_context.name == "ffv1"
    assert all(np.array_equal(a, b) for a, b in zip(before[0], after[0], strict=True))  # no mouth in the first
    for number, (old, new) in enumerate(zip(before[1], after[1], strict=True)):
        down, across = 48 // old.shape[0], 64 // old.shape[1]
        outside = np.ones(old.shape, bool)
        outside[BOX[1] // down : BOX[3] // down, BOX[0] // across : BOX[2] // across] = False
        assert np.array_equal(old[outside], new[outside])
        is_alpha = number == 3
        assert np.array_equal(old, new) == is_alpha


def test_the_finest_bits_of_a_changed_sample_stay_the_sources_own(tmp_path: Path, speech: SpeechReader) -> None:
    source = write_noise(tmp_path / "in.mkv", "yuv420p10le")
    _dub(source, tmp_path / "out.mkv", speech, Encoding(codec="ffv1"))
    old, new = read_planes(source)[1][0].astype(int), read_planes(tmp_path / "out.mkv")[1][0].astype(int)
    moved = new - old
    inside = (new > 0) & (new < 1023)
    assert moved.any()
    assert not (moved[inside] % 4).any()


def test_a_picture_that_is_shown_twice_is_changed_once(tmp_path: Path) -> None:
    frame = next(VideoReader(write_noise(tmp_path / "in.mkv", "yuv422p10le"), stored=True).frames())
    stored = frame.picture.stored
    assert stored is not None
    first = samples_of(stored.with_change(_with_mouth(frame).picture), 0, 10).copy()
    plain = samples_of(stored.with_change(frame.picture), 0, 10).copy()
    again = samples_of(stored.with_change(_with_mouth(frame).picture), 0, 10).copy()
    assert np.array_equal(plain, samples_of(noise_frame("yuv422p10le", 64, 48, 0), 0, 10))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, plain)


def test_a_turned_film_keeps_its_samples_and_its_turn(tmp_path: Path, speech: SpeechReader) -> None:
    source = write_noise(tmp_path / "in.mov", "yuv422p10le", codec="prores_ks", turned=90)
    reader = VideoReader(source, stored=True)
    assert (reader.info.width, reader.info.height) == (48, 64)
    out = tmp_path / "out.mov"
    with FilmWriter(out, reader.info, speech, encoding=Encoding(codec="prores")) as writer:
        for frame in reader.frames():
            writer.write(_with_mouth(frame, (4, 40, 28, 60)))
        writer.finish(sound="fill")
    turned = VideoReader(out, stored=True)
    assert turned.info.stored == reader.info.stored
    before, after = (next(one.frames()).picture.y.astype(int) for one in (reader, turned))
    assert np.abs(before - after)[40:60, 4:28].mean() > 20
    before[40:60, 4:28] = after[40:60, 4:28] = 0
    assert np.abs(before - after).mean() < 20  # ProRes of noise; two noises differ by 70


@pytest.mark.parametrize("pixels", ["p010le", "nv12", "uyvy422", "rgb24", "bgra", "rgba64le"])
def test_samples_that_share_a_plane_are_taken_apart_without_loss(pixels: str) -> None:
    name = planar(pixels)
    assert name is not None
    given = noise_frame(name, 64, 48, seed=3)
    there = given.reformat(format=pixels, src_color_range=1, dst_color_range=1)
    back = there.reformat(format=name, src_color_range=1, dst_color_range=1)
    for part in given.format.components:
        assert np.array_equal(samples_of(given, part.plane, part.bits), samples_of(back, part.plane, part.bits))


def test_formats_that_cannot_be_kept_are_named(tmp_path: Path) -> None:
    assert [planar(name) for name in ("gbrpf32le", "pal8", "ya8", "monow", "yuv420p10be")] == [None] * 5
    assert PixelFormat.of("yuva422p12le").words == "12-bit 4:2:2 with alpha"
    reader = VideoReader(write_noise(tmp_path / "in.mkv", "ya8"), stored=True)
    assert reader.info.stored is None
    assert any("its alpha is left out: a film of 8-bit grey with alpha" in warning for warning in reader.warnings)
