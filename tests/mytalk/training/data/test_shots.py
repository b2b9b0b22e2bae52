from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from mytalk.errors import NoSpeechError, UnreadableError
from mytalk.media_time import SAMPLE_RATE
from mytalk.training.data.shots import PART_SECONDS, Part, Probe, probe, shots, sound
from tests.support.films import number_of, numbered, write_film
from tests.support.talking_films import write_talking

FRAMES = 60


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 numbered pictures at 29.97 a second; a click every half second, and sound that starts 0.2 s late."""
    clicks = np.zeros(2 * SAMPLE_RATE, np.float32)
    clicks[:: SAMPLE_RATE // 2] = 0.9
    path = tmp_path_factory.mktemp("shots") / "film.mkv"
    pictures = [numbered(index) for index in range(FRAMES)]
    return write_talking(path, pictures, clicks, rate=Fraction(30000, 1001), sound_start=Fraction(1, 5), gop=7)


def test_parts_together_give_every_picture_once(film: Path) -> None:
    found = probe(film)
    borders = [0, 9_000, 9_600, 20_123, None]
    parts = [Part(i, a or 0, b) for i, (a, b) in enumerate(pairwise(borders))]
    seen = [(number_of(shot.picture.y), shot.at) for part in parts for shot in shots(film, found, part)]
    assert [number for number, _ in seen] == list(range(FRAMES))
    for number, at in seen:
        assert abs(at - number * 1001 / 30000 * SAMPLE_RATE) <= SAMPLE_RATE / 1000  # Matroska counts milliseconds


@pytest.mark.parametrize(("first", "end"), [(0, 32_000), (15_000, 32_000), (-8_000, 4_000), (20_001, 20_801)])
def test_sound_lies_where_the_pictures_say(film: Path, first: int, end: int) -> None:
    heard = sound(film, probe(film), first, end)
    clicks = [first + int(i) for i in np.flatnonzero(heard > 0.5)]
    assert len(heard) == end - first
    expected = [at for at in range(3_200, 3_200 + 32_000, 8_000) if first <= at < end]
    assert len(clicks) == len(expected)
    for found, wanted in zip(clicks, expected, strict=True):
        assert abs(found - wanted) <= 16  # Matroska's millisecond


def test_a_cut_is_found_where_it_is_and_movement_is_none(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    scenes = [np.kron(rng.integers(16, 235, (9, 10)), np.ones((20, 16))).astype(np.uint8) for _ in range(3)]
    pictures = [np.roll(scenes[index // 20], index % 20, axis=1) for index in range(60)]
    film = write_talking(tmp_path / "cuts.mkv", pictures, np.zeros(1000, np.float32))
    cuts = [round(shot.at / 640) for shot in shots(film, probe(film), Part(0, 0, None)) if shot.cut]
    assert cuts == [20, 40]


def test_a_long_video_is_shared_out_and_its_last_part_has_no_end() -> None:
    parts = Probe(start=0, seconds=5 * PART_SECONDS + 7, rate=25).parts()
    assert len(parts) == 5
    assert [part.first for part in parts[1:]] == [part.end for part in parts[:-1]]
    assert parts[-1].end is None
    assert len(Probe(start=0, seconds=None, rate=25).parts()) == 1


def test_a_video_that_cannot_be_used_is_refused_with_the_reason(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a film")
    with pytest.raises(UnreadableError):
        probe(text)
    silent = write_film(tmp_path / "silent.mp4", [numbered(0)] * 5)
    with pytest.raises(NoSpeechError, match="no audio"):
        probe(silent)
