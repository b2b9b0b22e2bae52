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


def test_no_face_anywhere_is_told_with_the_size_it_needs(tmp_path: Path, clip: Path, image: Path) -> None:
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
    told: list[tuple[int, int | None]] = []
    _dub(
        clip,
        _speech(tmp_path, 0.5),
        tmp_path / "out.mp4",
        length="shortest",
        progress=lambda done, total: told.append((done, total)),
    )
    assert told == [(n + 1, 13) for n in range(13)]


def test_the_film_says_that_it_is_synthetic_and_what_made_it(tmp_path: Path, clip: Path) -> None:
    report = _dub(clip, _speech(tmp_path, 0.5), tmp_path / "out.mp4")
    comment = read_film(tmp_path / "out.mp4").comment
    assert comment.startswith("Synthetic")
    assert "MyTalk streamer" in comment
    assert "preset fake, seed 0, steps 2" in comment
    assert (report.preset, report.device, report.steps) == ("fake", "cpu", 2)
    assert {"decode", "detect", "motion", "render", "encode"} <= set(report.stage_ms)
    assert report.real_time_factor == report.took / report.seconds
