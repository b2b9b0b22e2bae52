from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mytalk import StreamOptions
from mytalk.dub import DubReport, check_length, dub
from mytalk.errors import EngineError, NoFaceError, OptionError, OutputFullError
from mytalk.media import FaceSource, SpeechReader, StillSource, open_face
from mytalk.media.span import Span
from mytalk.media.writer import FilmWriter
from mytalk.picture import Picture, VideoFrame
from tests.mytalk.support.fake_engine import FakeEngine
from tests.support.films import number_of, numbered, read_film, speech_like, write_film, write_sound


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """One second."""
    return write_film(tmp_path / "clip.mp4", map(numbered, range(25)))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    frame = av.VideoFrame.from_ndarray(numbered(30), format="yuv420p")
    path = tmp_path / "portrait.png"
    frame.save(path)
    return path


def _speech(folder: Path, seconds: float, rate: int = 16000) -> SpeechReader:
    return SpeechReader(write_sound(folder / "speech.wav", speech_like(seconds, rate), rate, layout="mono"))


def _dub(
    face: Path | FaceSource, speech: SpeechReader, out: Path, engine: FakeEngine | None = None, **options: Any
) -> DubReport:
    source = open_face(face) if isinstance(face, Path) else face
    fake: Any = engine or FakeEngine()
    return dub(fake, source, speech, out, StreamOptions(), **options)


FORTH_AND_BACK = [*range(25), *range(23, -1, -1), *range(1, 25)]


@pytest.mark.parametrize(
    ("length", "seconds", "frames", "sound"),
    [
        (None, 0.4, 25, 1.0),
        (None, 2.0, 25, 1.0),
        ("video", 0.4, 25, 1.0),
        ("speech", 0.4, 10, 0.4),
        ("speech", 2.0, 50, 2.0),
        ("shortest", 0.4, 10, 0.4),
        ("shortest", 2.0, 25, 1.0),
    ],
)
def test_a_video_is_as_long_as_asked(
    tmp_path: Path, clip: Path, length: Any, seconds: float, frames: int, sound: float
) -> None:
    report = _dub(clip, _speech(tmp_path, seconds), tmp_path / "out.mp4", length=length)
    film = read_film(tmp_path / "out.mp4")
    assert [number_of(luma) for luma in film.luma] == FORTH_AND_BACK[:frames]
    assert film.times == [Fraction(n, 25) for n in range(frames)]
    assert abs(film.sound.shape[1] / 16000 - sound) <= 1024 / 16000
    assert report.frames == frames
    assert report.seconds == frames / 25


@pytest.mark.parametrize("length", [None, "speech", "shortest"])
def test_an_image_is_as_long_as_the_speech(tmp_path: Path, image: Path, length: Any) -> None:
    _dub(image, _speech(tmp_path, 0.6), tmp_path / "out.mp4", length=length)
    film = read_film(tmp_path / "out.mp4")
    assert [number_of(luma) for luma in film.luma] == [30] * 15
    assert abs(film.sound.shape[1] - 0.6 * 16000) <= 1024


def test_an_image_has_no_length_of_its_own(image: Path) -> None:
    with pytest.raises(OptionError, match="--length speech"):
        check_length(open_face(image), "video")


def test_the_speech_comes_out_in_time_at_its_own_rate(tmp_path: Path, clip: Path) -> None:
    _dub(clip, _speech(tmp_path, 1.0, rate=44100), tmp_path / "out.mp4")
    film = read_film(tmp_path / "out.mp4")
    given = speech_like(1.0, 44100)[0]
    assert film.sound_rate == 44100
    assert (film.sound_start, film.times[0]) == (0, 0)
    assert np.corrcoef(film.sound[0, : len(given)], given[: film.sound.shape[1]])[0, 1] > 0.98


def test_the_model_hears_the_speech_and_then_silence(tmp_path: Path, clip: Path) -> None:
    engine = FakeEngine()
    _dub(clip, _speech(tmp_path, 0.5), tmp_path / "out.mp4", engine)
    heard = np.concatenate(engine.streams[0].speech)
    np.testing.assert_allclose(heard[:8000], speech_like(0.5, 16000)[0], atol=1e-3)
    assert not heard[8000:].any()
    assert len(heard) >= 16000


def test_variable_rate_and_timestamps_are_kept(tmp_path: Path) -> None:
    stamps = [500, 540, 610, 611, 900, 1400]
    clip = write_film(tmp_path / "in.mkv", map(numbered, range(6)), stamps=stamps, time_base=Fraction(1, 1000))
    _dub(clip, _speech(tmp_path, 0.5), tmp_path / "out.mp4")
    assert read_film(tmp_path / "out.mp4").times == [Fraction(stamp - 500, 1000) for stamp in stamps]


def test_each_frame_is_tracked_once_and_the_first_seconds_are_enrolled(tmp_path: Path) -> None:
    clip = write_film(tmp_path / "long.mp4", map(numbered, range(100)))
    engine = FakeEngine(sees=lambda picture: number_of(picture.y) % 2 == 0)
    report = _dub(clip, _speech(tmp_path, 1.0), tmp_path / "out.mp4", engine)
    stream = engine.streams[0]
    assert stream.tracked == report.frames == 100
    assert [number_of(picture.y) for picture, _ in stream.enrolled] == [n % 70 for n in range(0, 76, 2)]
    assert stream.most_waiting < 20
    assert stream.closed


def test_no_face_anywhere_is_reported_with_the_size_it_needs(tmp_path: Path, clip: Path, image: Path) -> None:
    before = set(tmp_path.iterdir()) | {tmp_path / "speech.wav"}
    for face in (clip, image):
        with pytest.raises(NoFaceError, match=r"no face found .* px wide") as caught:
            _dub(face, _speech(tmp_path, 1.0), tmp_path / "out.mp4", FakeEngine(sees=lambda _: False))
        assert str(face) in str(caught.value)
    assert set(tmp_path.iterdir()) == before


def test_a_face_that_comes_late_is_enough(tmp_path: Path) -> None:
    clip = write_film(tmp_path / "late.mp4", map(numbered, range(110)))
    engine = FakeEngine(sees=lambda picture: 30 <= number_of(picture.y) < 40)
    assert _dub(clip, _speech(tmp_path, 1.0), tmp_path / "out.mp4", engine).frames == 110


class _BrokenSource(StillSource):
    def frames(self, *, endless: bool = True) -> Iterator[VideoFrame]:
        for index, frame in enumerate(super().frames()):
            if index == 20:
                raise MemoryError("no memory for a picture")
            yield frame


def test_a_failure_in_one_thread_ends_all_and_is_raised_once(
    tmp_path: Path, clip: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speech = _speech(tmp_path, 4.0)
    picture = next(open_face(image).frames(endless=True)).picture
    before, threads = set(tmp_path.iterdir()), threading.active_count()

    with pytest.raises(MemoryError):
        _dub(_BrokenSource(picture), speech, tmp_path / "out.mp4")
    with pytest.raises(EngineError):
        _dub(clip, speech, tmp_path / "out.mp4", FakeEngine(fails_at=12), length="speech")

    def full(self: FilmWriter, frame: VideoFrame) -> None:
        raise OutputFullError("no space left")

    monkeypatch.setattr(FilmWriter, "write", full)
    engine = FakeEngine()
    with pytest.raises(OutputFullError):
        _dub(clip, speech, tmp_path / "out.mp4", engine, length="speech")
    assert engine.streams[0].closed
    assert set(tmp_path.iterdir()) == before
    assert threading.active_count() == threads


def test_an_interrupt_leaves_no_thread_and_no_file(tmp_path: Path, clip: Path) -> None:
    def interrupt(done: int, total: int | None) -> None:
        if done == 15:
            raise KeyboardInterrupt

    speech = _speech(tmp_path, 4.0)
    before, threads = set(tmp_path.iterdir()), threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        _dub(clip, speech, tmp_path / "out.mp4", length="speech", progress=interrupt)
    assert set(tmp_path.iterdir()) == before
    assert threading.active_count() == threads


class _CountedSource(StillSource):
    given = 0

    def frames(self, *, endless: bool = True) -> Iterator[VideoFrame]:
        for frame in super().frames():
            self.given += 1
            yield frame


def test_reading_waits_for_a_slow_engine(tmp_path: Path) -> None:
    source = _CountedSource(Picture.from_rgb(np.full((64, 64, 3), 90, np.uint8)))
    leads = []
    _dub(
        source,
        _speech(tmp_path, 2.0),
        tmp_path / "out.mp4",
        FakeEngine(cost=0.01),
        progress=lambda done, total: leads.append(source.given - done),
    )
    assert max(leads) <= 8 + 8 + 2  # the channel, the engine's own lookahead, and one on either side


def test_progress_counts_to_the_expected_end(tmp_path: Path, clip: Path) -> None:
    reported: list[tuple[int, int | None]] = []
    _dub(
        clip,
        _speech(tmp_path, 0.5),
        tmp_path / "out.mp4",
        length="shortest",
        progress=lambda done, total: reported.append((done, total)),
    )
    assert reported == [(n + 1, 13) for n in range(13)]


def test_the_film_says_that_it_is_synthetic_and_what_made_it(tmp_path: Path, clip: Path) -> None:
    report = _dub(clip, _speech(tmp_path, 0.5), tmp_path / "out.mp4")
    comment = read_film(tmp_path / "out.mp4").comment
    assert comment.startswith("Synthetic")
    assert "MyTalk streamer" in comment
    assert "preset fake, seed 0, steps 2" in comment
    assert (report.preset, report.device, report.steps) == ("fake", "cpu", 2)
    assert {"decode", "detect", "motion", "render", "encode"} <= set(report.stage_ms)
    assert report.real_time_factor == report.took / report.seconds


def _offset_film(path: Path, *, picture_at: float, sound_at: float) -> Path:
    """One second of picture with a click 400 ms into its sound."""
    sound = np.zeros((1, 16000), np.float32)
    sound[0, 6400:6410] = 0.9
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=25)
        pictures.width, pictures.height = 160, 120
        voice = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        for index in range(25):
            frame = av.VideoFrame.from_ndarray(numbered(index), format="yuv420p")
            frame.pts, frame.time_base = index + round(picture_at * 25), Fraction(1, 25)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        block = av.AudioFrame.from_ndarray(sound, "flt", "mono")
        block.sample_rate, block.pts, block.time_base = 16000, round(sound_at * 16000), Fraction(1, 16000)
        for packet in voice.encode(block):
            packet.pts = packet.dts = round(sound_at * 1000)
            packet.time_base = Fraction(1, 1000)
            container.mux(packet)
    return path


@pytest.mark.parametrize(("picture_at", "sound_at", "click_at"), [(0, 0.52, 0.92), (0.24, 0, 0.16), (0.2, 0.2, 0.4)])
def test_a_films_sound_keeps_its_place(tmp_path: Path, picture_at: float, sound_at: float, click_at: float) -> None:
    film = _offset_film(tmp_path / "film.mkv", picture_at=picture_at, sound_at=sound_at)
    engine = FakeEngine()
    report = _dub(film, SpeechReader(film), tmp_path / "out.mkv", engine, own_speech=False)
    made = read_film(tmp_path / "out.mkv")
    heard = np.concatenate(engine.streams[0].speech)
    assert made.times[0] == 0
    assert (made.sound_start or 0) < 0.001
    assert abs(int(np.argmax(np.abs(made.sound[0]))) / 16000 - click_at) < 0.005
    assert abs(int(np.argmax(np.abs(heard))) / 16000 - click_at) < 0.005
    assert any("come before its first picture" in warning for warning in report.warnings) == (picture_at > sound_at)


def test_a_portrait_says_all_of_a_films_sound(tmp_path: Path, image: Path) -> None:
    film = _offset_film(tmp_path / "film.mkv", picture_at=0.24, sound_at=0)
    _dub(image, SpeechReader(film), tmp_path / "out.mkv")
    assert abs(int(np.argmax(np.abs(read_film(tmp_path / "out.mkv").sound[0]))) / 16000 - 0.4) < 0.005


@pytest.mark.parametrize(
    ("seconds", "length", "warned"),
    [(1.67, None, True), (1.05, None, False), (1.67, "speech", False), (1.67, "shortest", False)],
)
def test_speech_that_the_film_cuts_off_is_told(
    tmp_path: Path, clip: Path, seconds: float, length: Any, warned: bool
) -> None:
    report = _dub(clip, _speech(tmp_path, seconds), tmp_path / "out.mp4", length=length)
    words = "its last 0.67 s of 1.67 s are left out: the film ends after 1.00 s (--length speech"
    assert any(words in warning for warning in report.warnings) == warned
    assert warned or report.warnings == []


def test_speech_without_a_stated_length_is_counted_where_it_is_cut_off(tmp_path: Path, clip: Path) -> None:
    speech = _speech(tmp_path, 1.67)
    speech.stated_seconds = None
    (warning,) = _dub(clip, speech, tmp_path / "out.mp4").warnings
    assert "its last 0.67 s of 1.67 s" in warning


def test_only_the_parts_asked_for_are_dubbed(tmp_path: Path, clip: Path) -> None:
    engine = FakeEngine()
    report = _dub(
        clip,
        _speech(tmp_path, 1.0),
        tmp_path / "out.mp4",
        engine,
        only=[Span(Fraction(1, 5), Fraction(2, 5)), Span(Fraction(4, 5))],
    )
    assert engine.streams[0].tracked == 5 + 5
    assert [number_of(picture.y) for picture, _ in engine.streams[0].enrolled] == [*range(5, 10), *range(20, 25)]
    assert report.frames == 25


def test_a_film_without_sound_adapts_to_nobody_and_says_so(tmp_path: Path, clip: Path) -> None:
    asked, left = FakeEngine(), FakeEngine()
    report = _dub(clip, _speech(tmp_path, 0.5), tmp_path / "asked.mp4", asked)
    assert report.own_speech == "not adapted: the film has no sound"
    assert asked.streams[0].adapted == [({}, None)]
    assert _dub(clip, _speech(tmp_path, 0.5), tmp_path / "left.mp4", left, own_speech=False).own_speech is None
    assert left.streams[0].adapted == []


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 2), (3, 1), (-1, None)])
def test_a_part_ends_after_it_starts(start: int, end: int | None) -> None:
    with pytest.raises(OptionError, match="an end after it"):
        Span(Fraction(start), None if end is None else Fraction(end))
