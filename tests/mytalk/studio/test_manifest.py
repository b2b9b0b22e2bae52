from __future__ import annotations

from pathlib import Path

import pytest

from mytalk.errors import InputError
from mytalk.studio.manifest import Film, read_films


def test_a_table_names_films_from_its_own_folder(tmp_path: Path) -> None:
    table = tmp_path / "films.tsv"
    table.write_text("# video\tspeech\n\na.mov\tvoices/a.wav\nb.avi\t/voices/b.flac\nc.mp4\tc.wav\tfinal.mkv\n")
    assert read_films(table) == [
        Film(tmp_path / "a.mov", tmp_path / "voices" / "a.wav", "a.mov"),
        Film(tmp_path / "b.avi", Path("/voices/b.flac"), "b.mp4"),
        Film(tmp_path / "c.mp4", tmp_path / "c.wav", "final.mkv"),
    ]


def test_a_folder_is_read_as_pairs_of_one_name(tmp_path: Path) -> None:
    for name in ("b.mkv", "b.mp3", "a.png", "a.wav", ".hidden"):
        (tmp_path / name).touch()
    assert read_films(tmp_path) == [
        Film(tmp_path / "a.png", tmp_path / "a.wav", "a.mp4"),
        Film(tmp_path / "b.mkv", tmp_path / "b.mp3", "b.mkv"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.mp4 a.wav\n", "line 1 has 1 columns"),
        ("a.mp4\ta.wav\nb.mp4\t\n", "line 2 has 2 columns"),
        ("a.mp4\ta.wav\tout.gif\n", "line 1: out.gif: need a file name that ends in"),
        ("a.mp4\ta.wav\t../out.mp4\n", "line 1: ../out.mp4: need a file name"),
        ("a.mp4\ta.wav\nx/A.mp4\tb.wav\n", "a.mp4 and A.mp4 would both become A.mp4"),
        ("# nothing\n", "names no film"),
    ],
)
def test_what_names_no_film_is_refused_before_any_work(tmp_path: Path, text: str, words: str) -> None:
    table = tmp_path / "films.tsv"
    table.write_text(text)
    with pytest.raises(InputError, match=words):
        read_films(table)


def test_a_file_without_its_pair_is_refused(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.wav", "b.mp4"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"b is no pair of a film and a speech \(found b.mp4\)"):
        read_films(tmp_path)
