from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from streamer import cli
from streamer.commands.dub_films import REPORT
from streamer.config.server_config import ServerConfig
from tests.support.films import read_film, speech_like, write_sound


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two portraits with a speech each, and a film that is none."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("anna", "berta", "broken"):
        write_sound(folder / f"{name}.wav", speech_like(0.4, 16000), 16000, layout="mono")
    for name in ("anna", "berta"):
        shutil.copy(ServerConfig().portrait_path, folder / f"{name}.png")
    (folder / "broken.mp4").write_text("not a film")
    return folder


def test_a_folder_of_films_is_dubbed_told_of_and_left_alone_the_next_time(
    tmp_path: Path, pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["dub", str(pairs), "-o", str(out), "--steps", "1"]
    assert cli.main(words) == 1
    shown = capsys.readouterr()
    assert "3 films: 2 made, 1 failed" in shown.out
    assert "broken.mp4: not a picture, video or sound that can be read" in shown.err
    for name in ("anna", "berta"):
        assert len(read_film(out / f"{name}.mp4").times) == 10
    report = json.loads((out / REPORT).read_text())
    assert [film["state"] for film in report["films"]] == ["made", "made", "failed"]
    assert report["films"][0]["frames"] == 10
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.mp4")}

    (pairs / "broken.mp4").unlink()
    (pairs / "broken.wav").unlink()
    assert cli.main(words) == 0
    assert "2 films: 0 made, 2 were there already, 0 failed" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.mp4")} == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["film.mp4", "-o", "out.mp4"], "need SPEECH beside it, or a manifest"),
        (["films.tsv", "-o", "out"], "films.tsv: cannot be read as a manifest"),
        (["film.mp4", "a.wav", "-o", "out.mp4", "--jobs", "2"], "--jobs is for many films"),
        (["in", "-o", "out", "--jobs", "0"], "--jobs 0: need at least 1"),
        (["in", "-o", "out", "--quality", "900"], "quality 900: need 0"),
        (["in", "-o", "in/anna.png"], "no films can be written there"),
    ],
)
def test_what_is_wrong_with_all_films_is_said_before_any_work(
    tmp_path: Path,
    pairs: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["dub", *words]) in (2, 3)
    shown = capsys.readouterr()
    assert said in shown.err
    assert len(shown.err.splitlines()) == 1
    assert shown.out == ""
    assert pairs.is_dir()
