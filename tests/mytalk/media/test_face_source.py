from __future__ import annotations

from fractions import Fraction
from itertools import islice
from pathlib import Path

import pytest

from mytalk.media import ClipSource, StillSource, VideoReader, open_face
from mytalk.media.face_source import picture_bytes
from mytalk.picture import Picture
from tests.support.films import number_of, numbered, write_film

PING_PONG = [*range(23), *range(21, -1, -1), *range(1, 23), *range(21, -1, -1), *range(1, 10)]


def _clip(path: Path, room: int) -> ClipSource:
    reader = VideoReader(path)
    return ClipSource(reader, cache_bytes=room * picture_bytes(reader.info))


@pytest.mark.parametrize("ending", ["mp4", "ts", "mkv", "h264"])
@pytest.mark.parametrize("room", [2, 5, 22, 23, 100])
def test_ping_pong_is_the_same_whatever_the_cache_and_container(tmp_path: Path, ending: str, room: int) -> None:
    path = write_film(tmp_path / f"film.{ending}", map(numbered, range(23)), gop=8)
    frames = list(islice(_clip(path, room).frames(endless=True), len(PING_PONG)))
    assert [number_of(frame.picture.y) for frame in frames] == PING_PONG
    assert [frame.at for frame in frames] == [640 * n for n in range(len(PING_PONG))]


def test_ping_pong_keeps_the_intervals_of_a_variable_rate(tmp_path: Path) -> None:
    stamps = [0, 100, 110, 300]
    path = write_film(tmp_path / "film.mkv", map(numbered, range(4)), stamps=stamps, time_base=Fraction(1, 1000))
    pts = [frame.pts for frame in islice(_clip(path, 2).frames(endless=True), 8)]
    assert pts == [0, 100, 110, 300, 490, 500, 600, 700]


def test_a_clip_that_need_not_go_on_plays_once(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", map(numbered, range(5)))
    assert len(list(open_face(path).frames(endless=False))) == 5


def test_a_clip_can_be_played_again(tmp_path: Path) -> None:
    source = _clip(write_film(tmp_path / "film.mp4", map(numbered, range(5))), room=2)
    for _ in range(2):
        assert [number_of(f.picture.y) for f in islice(source.frames(endless=True), 8)] == [0, 1, 2, 3, 4, 3, 2, 1]


def test_a_still_picture_plays_25_times_a_second_without_end(tmp_path: Path) -> None:
    path = write_film(tmp_path / "one.mp4", [numbered(7)])
    source = open_face(path)
    assert isinstance(source, StillSource)
    frames = list(islice(source.frames(), 60))
    assert [frame.at for frame in frames] == [640 * n for n in range(60)]
    assert all(frame.picture is frames[0].picture for frame in frames)
    assert isinstance(frames[0].picture, Picture)
