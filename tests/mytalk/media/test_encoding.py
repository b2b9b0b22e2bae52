from __future__ import annotations

from pathlib import Path

import av
import pytest

from mytalk.errors import OptionError
from mytalk.media import FilmWriter, SpeechReader, VideoReader
from mytalk.media.encoding import Encoding, plan_video
from mytalk.media.stored import MasteringDisplay
from tests.mytalk.support.stored_films import write_noise
from tests.support.films import numbered, speech_like, write_film, write_sound

DISPLAY = "G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,50)"
HDR = {"x265-params": f"log-level=none:master-display={DISPLAY}:max-cll=1000,400", "preset": "ultrafast"}


@pytest.fixture
def hdr(tmp_path: Path) -> Path:
    return write_noise(tmp_path / "hdr.mp4", "yuv420p10le", codec="libx265", options=HDR)


def _write(source: Path, out: Path, encoding: Encoding) -> FilmWriter:
    reader = VideoReader(source, stored=True)
    sound = write_sound(out.with_suffix(".wav"), speech_like(0.2, 16000), 16000, layout="mono")
    with FilmWriter(out, reader.info, SpeechReader(sound), encoding=encoding) as writer:
        for frame in reader.frames():
            writer.write(frame)
        writer.finish(sound="fill")
    return writer


@pytest.mark.parametrize("codec", [None, "hevc", "h264", "av1"])
def test_hdr_comes_back_with_its_tags_and_its_mastering_display(tmp_path: Path, hdr: Path, codec: str | None) -> None:
    writer = _write(hdr, tmp_path / "out.mp4", Encoding(codec=codec))  # type: ignore[arg-type]
    given, made = (VideoReader(path, stored=True).info for path in (hdr, tmp_path / "out.mp4"))
    assert made.colour == given.colour
    assert (made.colour.primaries, made.colour.transfer, made.colour.matrix) == (9, 16, 9)
    assert made.stored == given.stored
    assert made.stored is not None
    assert made.stored.mastering == MasteringDisplay(DISPLAY, (1000, 400))
    assert made.codec == (codec or "hevc")
    assert writer.plan.warnings == []


def test_what_a_codec_cannot_say_of_the_mastering_display_is_told(tmp_path: Path, hdr: Path) -> None:
    writer = _write(hdr, tmp_path / "out.mkv", Encoding(codec="ffv1"))
    assert any("mastering display is not kept in ffv1" in warning for warning in writer.plan.warnings)


@pytest.mark.parametrize(
    ("pixels", "ending", "codec", "written"),
    [
        ("yuv420p10le", "mp4", "hevc", "yuv420p10le"),
        ("yuv422p10le", "mov", "hevc", "yuv422p10le"),
        ("yuv420p10le", "webm", "av1", "yuv420p10le"),
        ("yuva444p10le", "mov", "prores", "yuva444p10le"),
        ("yuva420p", "webm", "vp9", "yuva420p"),
        ("yuva444p12le", "mkv", "ffv1", "yuva444p12le"),
        ("yuv444p16le", "mkv", "ffv1", "yuv444p16le"),
        ("yuv422p", "mp4", "h264", "yuv420p"),
    ],
)
def test_a_film_of_any_depth_is_written_in_what_carries_it(
    tmp_path: Path, pixels: str, ending: str, codec: str, written: str
) -> None:
    source = write_noise(tmp_path / "in.mkv", pixels)
    writer = _write(source, tmp_path / f"out.{ending}", Encoding())
    assert (writer.plan.codec, writer.plan.pixels) == (codec, written)
    with av.open(str(tmp_path / f"out.{ending}")) as film:
        assert len(list(film.decode(video=0))) == 3


@pytest.mark.parametrize(
    ("pixels", "ending", "encoding", "words"),
    [
        ("yuv420p12le", "mp4", Encoding(codec="h264"), r"h264 cannot carry 12-bit 4:2:0 \(these can: hevc"),
        ("yuva444p10le", "mp4", Encoding(), r"10-bit 4:4:4 with alpha, and .mp4 carries no such film .*--alpha drop"),
        ("yuva444p10le", "mov", Encoding(codec="hevc"), "hevc cannot carry 10-bit 4:4:4 with alpha"),
        ("yuv422p10le", "mp4", Encoding(codec="prores"), r"\.mp4 does not take prores \(these do: .mov, .mkv\)"),
        ("yuv422p10le", "mkv", Encoding(codec="ffv1", quality=50), "--quality is of no use to ffv1"),
    ],
)
def test_what_cannot_be_carried_is_refused_before_any_work(
    tmp_path: Path, pixels: str, ending: str, encoding: Encoding, words: str
) -> None:
    info = VideoReader(write_noise(tmp_path / "in.mkv", pixels), stored=True).info
    kind = {"mp4": "mp4", "mov": "mov", "mkv": "matroska"}[ending]
    with pytest.raises(OptionError, match=words):
        plan_video(info, kind, encoding, "in.mkv")


def test_alpha_is_dropped_when_asked_with_a_word(tmp_path: Path) -> None:
    writer = _write(write_noise(tmp_path / "in.mkv", "yuva420p"), tmp_path / "out.mp4", Encoding(alpha="drop"))
    assert writer.plan.pixels == "yuv420p"
    assert any("alpha is left out, as asked" in warning for warning in writer.plan.warnings)


def test_the_codec_of_the_source_is_taken_when_asked(tmp_path: Path) -> None:
    copy = Encoding(codec="copy-like-source")
    for codec, name in (("ffv1", "ffv1"), ("libx265", "hevc"), ("libvpx-vp9", "vp9")):
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        source = write_noise(tmp_path / f"{name}.mkv", "yuv420p", codec=codec, tags=(1, 1, 1, 1), options=options)
        assert _write(source, tmp_path / f"like_{name}.mkv", copy).plan.codec == name
    old = write_film(tmp_path / "old.mkv", map(numbered, range(3)), codec="mpeg4")
    with pytest.raises(OptionError, match="is in mpeg4, which is not written"):
        plan_video(VideoReader(old, stored=True).info, "matroska", copy, "old.mkv")


def test_more_quality_takes_more_bytes(tmp_path: Path) -> None:
    source = write_noise(tmp_path / "in.mkv", "yuv420p", tags=(1, 1, 1, 1))
    sizes = []
    for quality in (20, 60, 95):
        out = tmp_path / f"{quality}.mkv"
        _write(source, out, Encoding(codec="h264", quality=quality))
        sizes.append(out.stat().st_size)
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 3
    with pytest.raises(OptionError, match="need 0"):
        Encoding(quality=101)
