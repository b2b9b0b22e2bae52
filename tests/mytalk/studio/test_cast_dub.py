from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mytalk import StreamOptions
from mytalk.dub import FilmTarget
from mytalk.errors import NoFaceError, NoSpeechError, OptionError
from mytalk.media import open_face
from mytalk.media.face_source import ClipSource
from mytalk.picture import Picture, VideoFrame
from mytalk.pipeline import Pipeline
from mytalk.studio.cast import Cast, Segment, Speaker
from mytalk.studio.cast_dub import check_cast, dub_cast
from mytalk.studio.cast_speech import CastSpeech
from mytalk.studio.cast_stream import CastStream
from mytalk.studio.watch import watch
from tests.mytalk.support.two_people import two_people
from tests.support.films import read_film, speech_like, write_sound


def _tone(path: Path, seconds: float, level: float, rate: int = 16000) -> Path:
    return write_sound(path, np.full((1, round(seconds * rate)), level, np.float32), rate, layout="mono")


def _segments(*given: tuple[str, float, float]) -> list[Segment]:
    return [Segment(Fraction(str(start)), Fraction(str(end)), name) for name, start, end in given]


def test_each_speaker_hears_the_own_voice_in_the_own_segments(tmp_path: Path) -> None:
    a, b = _tone(tmp_path / "a.wav", 3, 0.25), _tone(tmp_path / "b.wav", 3, 0.5, rate=48000)
    line = _tone(tmp_path / "line.wav", 0.5, -0.125)
    segments = [*_segments(("a", 0, 1), ("b", 0.5, 2)), Segment(Fraction(2), Fraction(5, 2), "a", line)]
    speech = CastSpeech(Cast([Speaker("a", voice=a), Speaker("b", voice=b)], segments))
    heard = np.concatenate(list(speech.samples()))
    assert heard.shape == (40000, 2)
    middles = heard[[4000, 12000, 20000, 36000]]
    np.testing.assert_allclose(middles, [[0.25, 0], [0.25, 0.5], [0, 0.5], [-0.125, 0]], atol=2e-3)
    mixed = np.concatenate(list(speech.blocks()), axis=1)
    assert (speech.rate, mixed.shape) == (48000, (1, 120000))
    np.testing.assert_allclose(mixed[0, [12000, 36000, 60000, 108000]], [0.25, 0.75, 0.5, -0.125], atol=2e-3)
    assert speech.warnings == []


def test_a_mix_is_the_films_sound_and_is_shared_out_by_segments(tmp_path: Path) -> None:
    mix = _tone(tmp_path / "mix.wav", 2, 0.25)
    speech = CastSpeech(Cast([Speaker("a"), Speaker("b")], _segments(("a", 0, 0.5), ("b", 1, 2)), mix))
    heard = np.concatenate(list(speech.samples()))
    np.testing.assert_allclose(heard[[4000, 12000, 24000]], [[0.25, 0], [0, 0], [0, 0.25]], atol=2e-3)
    np.testing.assert_allclose(np.concatenate(list(speech.blocks()), axis=1), 0.25, atol=1e-3)


def test_a_voice_that_ends_before_its_segment_is_told_in_numbers(tmp_path: Path) -> None:
    voice = _tone(tmp_path / "a.wav", 1, 0.25)
    speech = CastSpeech(Cast([Speaker("a", voice=voice)], _segments(("a", 0.5, 2.25))))
    assert any("the voice of a (a.wav) ends 1.25 s before segment 0.5-2.25 s" in text for text in speech.warnings)
    assert len(np.concatenate(list(speech.samples()))) == 36000


class _Painting:
    """Stands in for a stream: paints a stripe of its own into each picture that has its face, and gives it late."""

    latency = 0

    def __init__(self, rows: slice, late: int) -> None:
        self.rows, self.late = rows, late
        self.waiting: list[VideoFrame] = []
        self.finished = False
        self.stats = {"render_ms": 1.0, "passthrough": 0.0}

    def push_frame(self, frame: VideoFrame, face: Any) -> None:
        y = frame.picture.y.copy()
        y[self.rows] = 200
        made = Picture(y, frame.picture.u, frame.picture.v) if face is not None else frame.picture
        self.waiting.append(VideoFrame(made, frame.at, frame.pts, frame.time_base))

    def finish(self) -> None:
        self.finished = True

    def pull(self) -> Any:
        while len(self.waiting) > (0 if self.finished else self.late):
            yield self.waiting.pop(0)


def test_what_each_stream_changes_is_put_together_in_order() -> None:
    streams: Any = [_Painting(slice(0, 4), 0), _Painting(slice(8, 12), 2)]
    cast = CastStream(streams)
    plane = np.zeros((16, 16), np.uint8)
    frames = [VideoFrame(Picture(plane, plane[:8, :8], plane[:8, :8]), n * 640, n, Fraction(1, 25)) for n in range(4)]
    face: Any = object()
    out: list[VideoFrame] = []
    for frame, faces in zip(frames, ({0: face, 1: face}, {1: face}, None, {0: face}), strict=True):
        cast.push_frame(frame, faces)
        out += cast.pull()
    assert len(out) == 2
    cast.finish()
    out += cast.pull()
    assert [frame.pts for frame in out] == [0, 1, 2, 3]
    painted = [(bool(frame.picture.y[0, 0]), bool(frame.picture.y[8, 0])) for frame in out]
    assert painted == [(True, True), (False, True), (False, False), (True, False)]
    assert out[2].picture is frames[2].picture
    assert cast.stats == {"render_ms": 2.0, "passthrough": 1.0}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, portrait: Picture) -> Path:
    """Twenty pictures: two people who change places at a cut in the middle."""
    path = tmp_path_factory.mktemp("cast") / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "12"})
        stream.width, stream.height, stream.pix_fmt = 640, 320, "yuv420p"
        for index in range(20):
            places = (40, 400) if index < 10 else (400, 40)
            frame = two_people(portrait, places, ground=110 if index < 10 else 20).to_av()
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _clip(film: Path) -> ClipSource:
    source = open_face(film)
    assert isinstance(source, ClipSource)
    return source


def test_two_people_speak_each_with_their_own_voice_over_a_cut(tmp_path: Path, film: Path, pipeline: Pipeline) -> None:
    voice = write_sound(tmp_path / "voice.wav", speech_like(0.8, 16000), 16000, layout="mono")
    speakers = [Speaker("light", (0.2, 0.45), voice), Speaker("dark", (0.75, 0.45), voice)]
    cast = Cast(speakers, _segments(("light", 0, 0.4), ("dark", 0, 0.36)))
    seen = watch(pipeline, _clip(film), cast, "offline")
    places = [{number: faces[number].points[:, 0].mean() < 320 for number in faces} for faces in seen.faces if faces]
    seen.faces.close()
    assert places == [{0: True, 1: False}] * 10 + [{0: False, 1: True}] * 10
    target = FilmTarget(tmp_path / "out.mp4")
    report = dub_cast(pipeline, _clip(film), cast, CastSpeech(cast), target, StreamOptions(profile="offline"))
    assert (report.frames, report.passthrough) == (20, 0)
    assert re.match(r"light is face \d by point .*; dark is face \d by point", str(report.own_speech))
    before, after = read_film(film), read_film(tmp_path / "out.mp4")
    for left in (slice(40, 210), slice(400, 570)):
        moved = [
            np.abs(a[:, left].astype(int) - b[:, left]).max() for a, b in zip(before.luma, after.luma, strict=True)
        ]
        assert min(moved) > 20


@pytest.mark.parametrize(
    ("faces", "error", "words"),
    [
        (((0.2, 0.45), (0.22, 0.4)), OptionError, "light and dark have the same face"),
        (((0.2, 0.45), (0.5, 0.05)), NoFaceError, r"no face at \(0.5, 0.05\) in the segments of dark"),
        (((0.2, 0.45), None), NoSpeechError, "has no sound by which a face could be found"),
    ],
)
def test_a_cast_that_does_not_fit_the_film_is_refused(
    tmp_path: Path, film: Path, pipeline: Pipeline, faces: Any, error: type[Exception], words: str
) -> None:
    speakers = [Speaker("light", faces[0]), Speaker("dark", faces[1])]
    with pytest.raises(error, match=words):
        watch(pipeline, _clip(film), Cast(speakers, _segments(("light", 0, 0.3), ("dark", 0, 0.3))), "offline")


def test_a_cast_is_of_a_film_and_of_its_length(film: Path) -> None:
    cast = Cast([Speaker("light")], _segments(("light", 5, 6)))
    with pytest.raises(OptionError, match=r"light begins at 5 s, and the film ends at 0\.80 s"):
        check_cast(_clip(film), cast, None)
    with pytest.raises(OptionError, match="--length speech has another"):
        check_cast(_clip(film), cast, "speech")
