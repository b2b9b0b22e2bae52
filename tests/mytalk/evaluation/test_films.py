"""Films on one clock, two side by side, and the moments that a strip keeps."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mytalk.errors import UnreadableError
from mytalk.evaluation.films import Film, side_by_side
from mytalk.evaluation.moment import Moment, Pair
from mytalk.evaluation.strips import EVEN, WORST, Strip
from mytalk.face import Face
from mytalk.media_time import FRAME_SAMPLES
from mytalk.picture import Picture, VideoFrame
from tests.support.films import number_of, numbered, speech_like, write_film


def film_with_sound(path: Path, late_frames: int) -> Path:
    """Ten pictures at 25 a second, of which the first comes ``late_frames`` after the sound's first sample."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        audio = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, 25)
        block = np.ascontiguousarray(speech_like(0.4, 16_000))
        frame = av.AudioFrame.from_ndarray(block, "flt", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 16_000, max(0, -late_frames) * 640, Fraction(1, 16_000)
        container.mux(audio.encode(frame))
        for index in range(10):
            picture = av.VideoFrame.from_ndarray(numbered(index), format="yuv420p")
            picture.pts, picture.time_base = index + max(0, late_frames), Fraction(1, 25)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


@pytest.mark.parametrize("late", [0, 4, -3])
def test_media_time_begins_with_the_sound(tmp_path: Path, late: int) -> None:
    film = Film(film_with_sound(tmp_path / "film.mkv", late))
    frames = list(film.frames())
    assert frames[0].at == pytest.approx(max(late, 0) * FRAME_SAMPLES, abs=20)
    assert len(frames) == 10 - max(-late, 0)
    sound = film.sound()
    assert sound is not None
    assert len(sound) == pytest.approx(6400, abs=50)


def test_a_film_without_sound_has_none(tmp_path: Path) -> None:
    film = Film(write_film(tmp_path / "film.mp4", map(numbered, range(5))))
    assert film.sound() is None
    assert [frame.at for frame in film.frames()] == [640 * n for n in range(5)]
    with pytest.raises(UnreadableError):
        Film(tmp_path / "none.mp4")


def test_pictures_are_matched_by_time_and_not_by_number(tmp_path: Path) -> None:
    generated = Film(write_film(tmp_path / "made.mp4", (numbered(2 * n) for n in range(15)), rate=Fraction(25, 2)))
    true = Film(write_film(tmp_path / "true.mp4", map(numbered, range(20))))
    pairs = list(side_by_side(generated, true))
    assert len(pairs) == 10
    for pair in pairs:
        assert number_of(pair.generated.picture.y) == number_of(pair.true.picture.y)


def moment(face: Face, picture: Picture, index: int) -> Moment:
    frame = VideoFrame(picture, index * FRAME_SAMPLES, index, Fraction(1, 25))
    return Moment(Pair(frame, frame, face), face)


def test_a_strip_of_a_long_film_keeps_few_moments_spread_evenly(portrait: Picture, portrait_face: Face) -> None:
    strip = Strip(compare=False)
    for index in range(200):
        strip.push(moment(portrait_face, portrait, index), float("nan"))
    times = [cell.at // FRAME_SAMPLES for cell in strip.even]
    assert len(times) == EVEN
    assert min(np.diff(times)) >= 16
    assert strip.worst == []
    assert all(cell.jpeg.startswith(b"\xff\xd8") for cell in strip.even)


def test_a_strip_keeps_the_worst_moments_apart(portrait: Picture, portrait_face: Face) -> None:
    strip = Strip(compare=True)
    bad = {20: 5.0, 21: 9.0, 22: 6.0, 50: 3.0, 70: 7.0, 90: 4.0, 95: 2.0}
    for index in range(120):
        strip.push(moment(portrait_face, portrait, index), bad.get(index, 0.1))
    assert [cell.at // FRAME_SAMPLES for cell in strip.worst] == [21, 70, 90, 50]
    assert len(strip.worst) == WORST
