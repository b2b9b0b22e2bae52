from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext

from mytalk.appearance.backdrop import composed, source_on_background
from mytalk.errors import OptionError, OutputError, OutputExistsError, OutputFullError
from mytalk.media import FilmWriter, SpeechReader, VideoReader
from mytalk.media.face_source import StillSource
from mytalk.media.writer import check_output
from mytalk.picture import Picture
from tests.support.films import number_of, numbered, read_film, speech_like, write_film, write_sound


def _speech(
    folder: Path, seconds: float = 1.0, rate: int = 16000, layout: str = "mono", channels: int = 1
) -> SpeechReader:
    path = write_sound(folder / "speech.wav", speech_like(seconds, rate, channels), rate, layout=layout)
    return SpeechReader(path)


def _copy(source: Path, out: Path, speech: SpeechReader, sound: str = "fill") -> None:
    reader = VideoReader(source)
    with FilmWriter(out, reader.info, speech, comment="synthetic") as writer:
        for frame in reader.frames():
            writer.write(frame)
        writer.finish(sound=sound)


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(50)])
def test_a_film_comes_out_with_its_timestamps_to_the_tick(tmp_path: Path, rate: Fraction) -> None:
    source = write_film(tmp_path / "in.mp4", map(numbered, range(30)), rate=rate)
    _copy(source, tmp_path / "out.mp4", _speech(tmp_path))
    film = read_film(tmp_path / "out.mp4")
    assert film.times == [n / rate for n in range(30)]
    assert film.duration == 30 / rate
    assert [number_of(luma) for luma in film.luma] == list(range(30))
    assert film.comment == "synthetic"


@pytest.mark.parametrize("ending", ["mp4", "mov"])
def test_a_variable_rate_is_kept_to_the_tick(tmp_path: Path, ending: str) -> None:
    stamps = [7000, 7040, 7041, 7300, 8000, 8033, 9001]
    source = write_film(tmp_path / "in.mkv", map(numbered, range(7)), stamps=stamps, time_base=Fraction(1, 1000))
    _copy(source, tmp_path / f"out.{ending}", _speech(tmp_path))
    film = read_film(tmp_path / f"out.{ending}")
    assert film.times == [Fraction(stamp - 7000, 1000) for stamp in stamps]


def test_matroska_keeps_timestamps_to_the_millisecond(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mp4", map(numbered, range(30)), rate=Fraction(30000, 1001))
    _copy(source, tmp_path / "out.mkv", _speech(tmp_path))
    film = read_film(tmp_path / "out.mkv")
    assert len(film.times) == 30
    assert max(abs(time - n * Fraction(1001, 30000)) for n, time in enumerate(film.times)) <= Fraction(1, 1000)
    assert film.comment == "synthetic"


@pytest.mark.parametrize("tags", [(2, 1, 1, 1), (1, 5, 5, 6), (0, 2, 2, 2), (1, 9, 9, 16)])
def test_range_and_colour_tags_come_out_as_they_went_in(tmp_path: Path, tags: tuple[int, int, int, int]) -> None:
    source = write_film(tmp_path / "in.mp4", map(numbered, range(5)), tags=tags)
    _copy(source, tmp_path / "out.mp4", _speech(tmp_path))
    film = read_film(tmp_path / "out.mp4")
    assert film.tags == tags
    assert [number_of(luma) for luma in film.luma] == list(range(5))


@pytest.mark.parametrize("turned", [(90.0, False), (180.0, False), (-90.0, True)])
def test_a_turned_film_is_displayed_as_before(tmp_path: Path, turned: tuple[float, bool]) -> None:
    source = write_film(tmp_path / "in.mp4", map(numbered, range(5)), turned=turned)
    _copy(source, tmp_path / "out.mp4", _speech(tmp_path))
    film = read_film(tmp_path / "out.mp4")
    displayed = next(VideoReader(source).frames()).picture.y
    assert film.turn == 0
    assert film.luma[0].shape == displayed.shape
    assert np.abs(film.luma[0].astype(int) - displayed).mean() < 2


@pytest.mark.parametrize(("rate", "layout", "channels"), [(8000, "mono", 1), (44100, "stereo", 2), (48000, "5.1", 6)])
def test_the_sound_is_the_speech_at_its_own_rate(tmp_path: Path, rate: int, layout: str, channels: int) -> None:
    source = write_film(tmp_path / "in.mp4", map(numbered, range(25)))
    speech = _speech(tmp_path, 1.0, rate, layout, channels)
    _copy(source, tmp_path / "out.mp4", speech)
    film = read_film(tmp_path / "out.mp4")
    assert (film.sound_rate, film.layout, film.sound_start) == (rate, layout, 0)
    given = speech_like(1.0, rate, channels)
    assert abs(film.sound.shape[1] - given.shape[1]) <= 1024
    for channel in (0, channels - 1):
        assert _lag(film.sound[channel], given[channel]) == 0
        length = min(film.sound.shape[1], given.shape[1])
        assert np.corrcoef(film.sound[channel, :length], given[channel, :length])[0, 1] > 0.97


def test_a_rate_that_aac_lacks_becomes_the_next_and_is_reported(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mp4", map(numbered, range(10)))
    speech = _speech(tmp_path, 0.4, rate=18000)
    reader = VideoReader(source)
    with FilmWriter(tmp_path / "out.mp4", reader.info, speech) as writer:
        for frame in reader.frames():
            writer.write(frame)
        writer.finish()
    assert writer.sound.warning is not None
    assert "18000 Hz" in writer.sound.warning
    film = read_film(tmp_path / "out.mp4")
    assert film.sound_rate == 22050
    assert abs(film.sound.shape[1] - 0.4 * 22050) <= 1024


@pytest.mark.parametrize(
    ("seconds", "sound", "expected"),
    [(0.4, "fill", 1.0), (0.4, "cut", 0.4), (2.0, "fill", 1.0), (2.0, "cut", 1.0), (2.0, "whole", 2.0)],
)
def test_the_sound_is_filled_or_cut_as_asked(tmp_path: Path, seconds: float, sound: str, expected: float) -> None:
    source = write_film(tmp_path / "in.mp4", map(numbered, range(25)))
    _copy(source, tmp_path / "out.mp4", _speech(tmp_path, seconds), sound)
    film = read_film(tmp_path / "out.mp4")
    assert abs(film.sound.shape[1] / 16000 - expected) <= 1024 / 16000
    if sound == "fill" and seconds < 1:
        assert np.abs(film.sound[:, round((seconds + 0.1) * 16000) :]).max() < 0.01


def test_an_existing_output_is_refused_without_force(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mp4", map(numbered, range(3)))
    out = tmp_path / "out.mp4"
    out.write_text("precious")
    info = VideoReader(source).info
    with pytest.raises(OutputExistsError, match="--force"):
        FilmWriter(out, info, _speech(tmp_path))
    assert out.read_text() == "precious"
    with FilmWriter(out, info, _speech(tmp_path), force=True) as writer:
        for frame in VideoReader(source).frames():
            writer.write(frame)
        writer.finish()
    assert len(read_film(out).times) == 3


def test_the_input_may_be_replaced_by_its_own_output(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", map(numbered, range(12)))
    reader, speech = VideoReader(path), _speech(tmp_path)
    with FilmWriter(path, reader.info, speech, force=True) as writer:
        for frame in reader.frames():
            writer.write(frame)
        writer.finish()
    assert [number_of(luma) for luma in read_film(path).luma] == list(range(12))


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("missing/out.mp4", OutputError, "folder does not exist"),
        ("out.avi", OptionError, "need .mp4"),
        ("out", OptionError, "need .mp4"),
        ("folder.mp4", OutputError, "not a file"),
    ],
)
def test_an_impossible_output_is_refused_before_any_work(
    tmp_path: Path, name: str, error: type[Exception], words: str
) -> None:
    (tmp_path / "folder.mp4").mkdir()
    info = VideoReader(write_film(tmp_path / "in.mp4", map(numbered, range(3)))).info
    with pytest.raises(error, match=words):
        FilmWriter(tmp_path / name, info, _speech(tmp_path), force=True)


def test_a_film_left_unfinished_leaves_nothing_behind(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mp4", map(numbered, range(30)))
    speech, reader = _speech(tmp_path), VideoReader(source)
    before = set(tmp_path.iterdir())
    with FilmWriter(tmp_path / "out.mp4", reader.info, speech) as writer:
        for frame in islice(reader.frames(), 20):
            writer.write(frame)
    assert set(tmp_path.iterdir()) == before


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("limit", [0, 20_000, 150_000])
def test_a_full_disk_is_reported_and_leaves_nothing_behind(tmp_path: Path, limit: int) -> None:
    rng = np.random.default_rng(0)
    source = write_film(
        tmp_path / "in.mp4", (rng.integers(16, 235, (360, 320)).astype(np.uint8) for _ in range(25)), gop=5
    )
    speech = _speech(tmp_path)
    before = set(tmp_path.iterdir())
    with _largest_file(limit), pytest.raises(OutputFullError, match="no space left"):
        _copy(source, tmp_path / "out.mp4", speech)
    assert set(tmp_path.iterdir()) == before


def test_the_output_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mp4", map(numbered, range(3)))
    _copy(source, tmp_path / "out.mp4", _speech(tmp_path))
    plain = tmp_path / "plain"
    plain.touch()
    assert (tmp_path / "out.mp4").stat().st_mode == plain.stat().st_mode


def _lag(heard: np.ndarray, given: np.ndarray) -> int:  # type: ignore[type-arg]
    length = min(len(heard), len(given), 8000)
    reach = 64
    scores = [
        float(np.dot(heard[reach + lag : length - reach + lag], given[reach : length - reach]))
        for lag in range(-reach, reach + 1)
    ]
    return int(np.argmax(scores)) - reach


def test_a_name_that_cannot_be_is_refused_before_the_work(tmp_path: Path) -> None:
    for name in ("a" * 300 + ".mp4", "ü" * 126 + ".mp4"):
        with pytest.raises(OutputError, match="cannot be a file's name here"):
            check_output(tmp_path / name, force=False)
    check_output(tmp_path / ("a" * 251 + ".mp4"), force=False)


def test_force_replaces_what_a_link_leads_to_and_keeps_the_link(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mp4", map(numbered, range(5)))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "film.mp4").write_text("an older film")
    link = tmp_path / "out.mp4"
    link.symlink_to(tmp_path / "other" / "film.mp4")
    reader = VideoReader(source)
    with FilmWriter(link, reader.info, _speech(tmp_path), force=True) as writer:
        for frame in reader.frames():
            writer.write(frame)
        writer.finish(sound="fill")
    assert link.is_symlink()
    assert len(read_film(tmp_path / "other" / "film.mp4").times) == 5
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["film.mp4"]


def test_a_webm_film_shows_the_person_before_nothing(tmp_path: Path, portrait: Picture) -> None:
    source = source_on_background(StillSource(portrait), "transparent")
    out = tmp_path / "out.webm"
    with FilmWriter(out, source.info, _speech(tmp_path, 0.2), transparent=source.transparent) as writer:
        for frame in islice(source.frames(endless=True), 5):
            writer.write(replace(frame, picture=composed(frame.picture)))
        writer.finish(sound="fill")
    with av.open(str(out)) as film:
        assert film.streams.audio[0].codec_context.name == "opus"
        decoder = av.CodecContext.create("libvpx-vp9", "r")  # FFmpeg's own leaves alpha out
        assert isinstance(decoder, VideoCodecContext)
        decoded = [frame for packet in film.demux(film.streams.video[0]) for frame in decoder.decode(packet)]
    assert len(decoded) == 5
    rgba = decoded[-1].to_ndarray(format="rgba")
    assert rgba[:150, -100:, 3].max() < 8
    assert rgba[80:140, 200:250, 3].min() > 247
    difference = rgba[80:140, 200:250, :3].astype(int) - portrait.rgb()[80:140, 200:250]
    assert np.abs(difference).mean() < 6


def test_other_films_cannot_be_transparent(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"out\.mp4: such a film cannot be transparent \(need \.webm"):
        check_output(tmp_path / "out.mp4", force=False, transparent=True)
