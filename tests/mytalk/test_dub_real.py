"""A real face, the real models, real files: what somebody who plays the film would notice."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk import Pipeline, StreamOptions
from mytalk.dub import DubReport, dub
from mytalk.face import Face, FaceTracker
from mytalk.media import FilmWriter, SpeechReader, open_face
from mytalk.picture import Picture, VideoFrame
from tests.support.films import Film, read_film, write_film, write_sound

ASSETS = Path(str(files("mytalk"))) / "assets"
RATE = 24_000
SPOKEN, SILENT = 2.6, 1.4
"""Seconds of the demo's speech (one sentence, to its end), and of silence after it."""


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence and then silence."""
    spoken = np.concatenate(list(SpeechReader(ASSETS / "demo_speech.flac").blocks()), axis=1)[:, : round(SPOKEN * RATE)]
    whole = np.concatenate([spoken, np.zeros((1, round(SILENT * RATE)), np.float32)], axis=1)
    return write_sound(tmp_path_factory.mktemp("voice") / "voice.wav", whole, RATE, layout="mono")


@dataclass
class Dubbed:
    report: DubReport
    film: Film
    path: Path
    pictures: list[VideoFrame]  # as they went to the encoder


def _dub(pipeline: Pipeline, face: Path, voice: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> Dubbed:
    pictures: list[VideoFrame] = []
    write = FilmWriter.write

    def keep(self: FilmWriter, frame: VideoFrame) -> None:
        pictures.append(frame)
        write(self, frame)

    with monkeypatch.context() as patch:
        patch.setattr(FilmWriter, "write", keep)
        report = dub(pipeline, open_face(face), SpeechReader(voice), out, StreamOptions())
    return Dubbed(report, read_film(out), out, pictures)


@pytest.fixture(scope="module")
def speaking(pipeline: Pipeline, voice: Path, tmp_path_factory: pytest.TempPathFactory) -> Dubbed:
    """The portrait, made to speak."""
    out = tmp_path_factory.mktemp("film") / "speaking.mp4"
    return _dub(pipeline, ASSETS / "astronaut.png", voice, out, pytest.MonkeyPatch())


def _faces(pictures: list[Picture]) -> list[Face | None]:
    tracker = FaceTracker()
    found = [tracker(picture) for picture in pictures]
    return found


def _apertures(path: Path) -> NDArray[np.float64]:
    """Measures how far the lips are apart in each frame of a film, in widths between the outer eye corners."""
    faces = _faces([frame.picture for frame in open_face(path).frames(endless=False)])
    assert all(faces)
    points = np.stack([face.points[:, :2] for face in faces if face is not None])
    gap = np.linalg.norm(points[:, 13] - points[:, 14], axis=1)
    return np.asarray(gap / np.linalg.norm(points[:, 33] - points[:, 263], axis=1), np.float64)


def test_a_portrait_speaks_at_25_frames_a_second_for_as_long_as_the_speech(speaking: Dubbed) -> None:
    assert speaking.film.times == [Fraction(n, 25) for n in range(round((SPOKEN + SILENT) * 25))]
    assert speaking.film.luma[0].shape == (512, 512)
    assert speaking.report.passthrough == 0
    assert speaking.report.warnings == []


def test_the_sound_of_the_film_is_the_speech(speaking: Dubbed, voice: Path) -> None:
    given = np.concatenate(list(SpeechReader(voice).blocks()), axis=1)[0]
    heard = speaking.film.sound[0, : len(given)]
    assert speaking.film.sound_rate == RATE
    assert speaking.film.sound_start == speaking.film.times[0] == 0
    assert abs(speaking.film.sound.shape[1] - len(given)) <= 1024
    assert np.corrcoef(heard, given[: len(heard)])[0, 1] > 0.98


def test_the_mouth_moves_with_speech_and_rests_in_silence(speaking: Dubbed) -> None:
    apertures = _apertures(speaking.path)
    spoken, silent = apertures[5 : round(SPOKEN * 25)], apertures[round((SPOKEN + 0.5) * 25) :]
    assert np.ptp(spoken) > 0.04
    assert spoken.mean() > silent.mean() + 0.01
    assert silent.std() < spoken.std() / 3


def test_a_video_keeps_its_frames_and_every_pixel_away_from_the_mouth(
    pipeline: Pipeline, speaking: Dubbed, voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write_film(tmp_path / "clip.mp4", map(_planes, speaking.pictures[:40]), rate=Fraction(30000, 1001))
    dubbed = _dub(pipeline, clip, voice, tmp_path / "out.mp4", monkeypatch)
    given = list(open_face(clip).frames(endless=False))
    assert dubbed.film.times == [n * Fraction(1001, 30000) for n in range(40)]
    assert [frame.pts for frame in dubbed.pictures] == [frame.pts for frame in given]
    changed = [_changed(before.picture, after.picture) for before, after in zip(given, dubbed.pictures, strict=True)]
    assert sum(pixels.any() for pixels in changed) > 35
    for pixels, face in zip(changed, _faces([frame.picture for frame in given]), strict=True):
        assert face is not None
        x0, _, x1, y1 = face.box
        nose, margin = face.points[1, 1], 0.25 * face.width
        rows, columns = np.nonzero(pixels)
        if len(rows):
            assert x0 - margin < columns.min() <= columns.max() < x1 + margin
            assert nose - margin < rows.min() <= rows.max() < y1 + margin


def test_frames_without_a_face_pass_through_untouched(
    pipeline: Pipeline, speaking: Dubbed, voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = np.full((768, 512), 128, np.uint8)
    pictures = [*map(_planes, speaking.pictures[:12]), *[wall] * 12, *map(_planes, speaking.pictures[12:24])]
    clip = write_film(tmp_path / "clip.mp4", pictures)
    dubbed = _dub(pipeline, clip, voice, tmp_path / "out.mp4", monkeypatch)
    given = list(open_face(clip).frames(endless=False))
    untouched = [
        not _changed(before.picture, after.picture).any() for before, after in zip(given, dubbed.pictures, strict=True)
    ]
    assert all(untouched[12:24])
    assert not any(untouched[3:11])
    assert not any(untouched[28:])
    assert dubbed.report.passthrough == 12


def test_the_same_seed_makes_the_same_film(
    pipeline: Pipeline, speaking: Dubbed, voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = _dub(pipeline, ASSETS / "astronaut.png", voice, tmp_path / "again.mp4", monkeypatch)
    for one, other in zip(speaking.pictures, again.pictures, strict=True):
        np.testing.assert_array_equal(one.picture.y, other.picture.y)


def test_a_closed_mouth_can_be_asked_for(pipeline: Pipeline, speaking: Dubbed, voice: Path, tmp_path: Path) -> None:
    out = tmp_path / "closed.mp4"
    dub(pipeline, open_face(ASSETS / "astronaut.png"), SpeechReader(voice), out, StreamOptions(mouth_opening=0))
    spoken = slice(5, round(SPOKEN * 25))
    assert np.ptp(_apertures(out)[spoken]) < np.ptp(_apertures(speaking.path)[spoken]) / 2


def test_the_film_can_be_decoded_by_its_tags(speaking: Dubbed) -> None:
    with av.open(str(speaking.path)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        assert container.streams.audio[0].codec_context.name == "aac"
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


def _planes(frame: VideoFrame) -> NDArray[np.uint8]:
    """A picture as one yuv420p array ``(1.5 H, W)``."""
    picture = frame.picture
    chroma = np.concatenate([picture.u.ravel(), picture.v.ravel()]).reshape(-1, picture.width)
    return np.concatenate([picture.y, chroma])


def _changed(before: Picture, after: Picture) -> NDArray[np.bool_]:
    """Pixels ``(H, W)`` of which any sample differs."""
    chroma = (before.u != after.u) | (before.v != after.v)
    return np.asarray((before.y != after.y) | chroma.repeat(2, axis=0).repeat(2, axis=1), np.bool_)
