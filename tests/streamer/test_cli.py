from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from mytalk import Picture, VideoFrame
from mytalk.errors import OutputFullError
from mytalk.media import FilmWriter, open_face
from streamer import cli
from streamer.commands import demo
from streamer.config.server_config import ServerConfig
from streamer.http import server
from tests.support.films import numbered, read_film, speech_like, write_film, write_sound
from tests.support.limits import LIMIT_S
from tests.support.talking_films import planes_of


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    kept = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for name, handler in kept.items():
        signal.signal(name, handler)


@pytest.fixture
def portrait_path() -> Path:
    return ServerConfig().portrait_path


@pytest.fixture
def speech_path(tmp_path: Path) -> Path:
    return write_sound(tmp_path / "speech.wav", speech_like(0.6, 16000), 16000, layout="mono")


def _mytalk(*words: object, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "streamer.cli", *map(str, words)]
    source = Path(cli.__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": str(source)}
    return subprocess.Popen(
        command, cwd=folder, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def test_a_film_is_made_with_a_clean_standard_error(tmp_path: Path, portrait_path: Path, speech_path: Path) -> None:
    process = _mytalk("dub", portrait_path, speech_path, "-o", "out.mp4", "--steps", 1, folder=tmp_path)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert len(read_film(tmp_path / "out.mp4").times) == 15
    assert "real-time factor" in out
    assert "preset edge on cpu, 1 step" in out
    for line in err.splitlines():
        assert line.startswith(("loading edge", "dubbing: ")), err


@pytest.mark.usefixtures("signals_heeded")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_leaves_nothing_behind(tmp_path: Path, portrait_path: Path, name: str) -> None:
    voice = write_sound(tmp_path / "long.wav", speech_like(60, 16000), 16000, layout="mono")
    process = _mytalk("dub", portrait_path, voice, "-o", "out.mp4", folder=tmp_path)
    until = time.monotonic() + 120
    while not list(tmp_path.glob(".out.*.part.mp4")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode == (cli.INTERRUPTED if name == "SIGINT" else 128 + signal.SIGTERM)
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["long.wav"]


def _refused(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """Exit code and the line of an attempt that must fail."""
    try:
        code = cli.main([str(word) for word in words])
    except SystemExit as stop:
        code = int(str(stop.code))
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if not line.startswith(("loading ", "dubbing: "))]
    assert captured.out == ""
    assert len(lines) == 1, captured.err
    assert lines[0].startswith("mytalk: error: ")
    return code, lines[0]


def test_bad_input_is_one_line_and_a_non_zero_exit(
    tmp_path: Path, portrait_path: Path, speech_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def dub(
        face: object = portrait_path, speech: object = speech_path, out: object = tmp_path / "out.mp4", *more: object
    ):  # type: ignore[no-untyped-def]
        return _refused(capsys, "dub", face, speech, "-o", out, *more)

    (tmp_path / "notes.txt").write_text("no film")
    silent = write_film(tmp_path / "silent.mp4", map(numbered, range(3)))
    film = write_film(tmp_path / "film.mp4", map(numbered, range(3)))
    taken = tmp_path / "taken.mp4"
    taken.write_text("precious")
    before = set(tmp_path.iterdir())
    cases = [
        (dub(face=tmp_path / "none.mp4"), 2, "none.mp4: no such file"),
        (dub(face=tmp_path / "notes.txt"), 2, "not a picture, video or sound"),
        (dub(speech=tmp_path / "none.wav"), 2, "none.wav: no such file"),
        (dub(speech=silent), 2, "no audio in it"),
        (dub(out=taken), 3, "--force replaces it"),
        (dub(out=tmp_path / "none" / "out.mp4"), 3, "folder does not exist"),
        (dub(out=tmp_path / "out.gif"), 2, "need .mp4"),
        (dub(portrait_path, speech_path, tmp_path / "out.mp4", "--length", "video"), 2, "no length of its own"),
        (dub(portrait_path, speech_path, tmp_path / "out.mp4", "--preset", "vast"), 4, "neither a preset"),
        (dub(portrait_path, speech_path, tmp_path / "out.mp4", "--steps", "99"), 2, "need 1 to 50"),
        (dub(portrait_path, speech_path, tmp_path / "out.mp4", "--device", "quantum"), 2, "need auto, cpu"),
        (dub(portrait_path, speech_path, tmp_path / "out.mp4", "--mouth-opening", "9"), 2, "need 0"),
        (dub(portrait_path, speech_path, tmp_path / "out.mp4", "--steps", "few"), 2, "--steps"),
        (dub(portrait_path, speech_path, tmp_path / "out.mp4", "--face", "left"), 2, "need largest, or a point"),
        (dub(portrait_path, speech_path, tmp_path / "out.mp4", "--face", "0.3"), 2, "need largest, or a point"),
        (dub(portrait_path, speech_path, tmp_path / "out.mp4", "--face", "30,40"), 2, "from 0 to 1, as 0.3,0.4"),
        (dub(portrait_path, speech_path, tmp_path / "out.mp4", "--face", "nan,0.4"), 2, "'nan,0.4'"),
        (dub(film, speech_path, tmp_path / "out.mp4", "--still"), 2, "a video moves by itself"),
        (
            dub(tmp_path / "no.png", speech_path, tmp_path / "out.mp4", "--steps", "100"),
            2,
            "steps is 100 (need 1 to 50)",
        ),
        (dub(film, speech_path, tmp_path / "out.mp4", "--only", "2"), 2, "need START-END in seconds, as 12.5-20"),
        (dub(film, speech_path, tmp_path / "out.mp4", "--only", "2-1"), 2, "an end after it"),
        (dub(film, speech_path, tmp_path / "out.mp4", "--only", "0:05-1:00"), 2, "begins at 5 s, and the film ends at"),
        (dub(film, speech_path, tmp_path / "out.mp4", "--on-silence", "sing"), 2, "need close, passthrough"),
        (_refused(capsys, "dub", film, speech_path, "-o", "x.mp4", "--tempo", "2"), 2, "(see mytalk dub --help)"),
        (_refused(capsys, "train", "export", "--tempo"), 2, "(see mytalk train export --help)"),
        (_refused(capsys, "--tempo", "dub", film, speech_path, "-o", "x.mp4"), 2, "see mytalk dub --help"),
        (_refused(capsys, "dub"), 2, "see mytalk dub --help"),
        (_refused(capsys, "dance"), 2, "dance"),
        (_refused(capsys), 2, "COMMAND"),
    ]
    for (code, line), expected, words in cases:
        assert code == expected, line
        assert words in line
    assert set(tmp_path.iterdir()) == before
    assert taken.read_text() == "precious"


@pytest.mark.parametrize(("face", "speaks"), [("largest", 0), ("0.8,0.3", 1)])
def test_of_two_people_in_a_film_the_chosen_one_speaks(
    tmp_path: Path, portrait: Picture, speech_path: Path, face: str, speaks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = portrait.rgb()[10:266, 120:376]
    other = np.pad(cv2.resize(one, (210, 210))[:, ::-1] // 2, ((23, 23), (23, 23), (0, 0)), mode="edge")
    film = write_film(tmp_path / "two.mp4", [planes_of(np.hstack([one, other]))] * 15)
    given = [frame.picture.y for frame in open_face(film).frames(endless=False)]
    made: list[Picture] = []
    monkeypatch.setattr(FilmWriter, "write", _noted(FilmWriter.write, made))
    assert cli.main(["dub", str(film), str(speech_path), "-o", str(tmp_path / "out.mp4"), "--face", face]) == 0
    assert len(made) == len(given)
    changed = [before != after.y for before, after in zip(given, made, strict=True)]
    halves = [[np.any(picture[:, left : left + 256]) for picture in changed] for left in (0, 256)]
    assert sum(halves[speaks]) > 12
    assert not any(halves[1 - speaks])


@pytest.mark.parametrize("more", [[], ["--still"]])
def test_a_portrait_blinks_and_sways_unless_it_is_to_be_still(
    tmp_path: Path, portrait_path: Path, speech_path: Path, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Picture] = []
    monkeypatch.setattr(FilmWriter, "write", _noted(FilmWriter.write, made))
    assert cli.main(["dub", str(portrait_path), str(speech_path), "-o", str(tmp_path / "out.mp4"), *more]) == 0
    brows = [picture.y[80:115, 195:250].astype(int) for picture in made]
    mouths = [picture.y[125:150, 195:250].astype(int) for picture in made]
    assert (np.ptp(brows, axis=0).max() > 20) == (not more)
    assert np.ptp(mouths, axis=0).max() > 20


def _noted(
    write: Callable[[FilmWriter, VideoFrame], None], pictures: list[Picture]
) -> Callable[[FilmWriter, VideoFrame], None]:
    """``FilmWriter.write`` that also keeps what it is given, before it is encoded."""

    def writes(self: FilmWriter, frame: VideoFrame) -> None:
        pictures.append(frame.picture)
        write(self, frame)

    return writes


@pytest.mark.parametrize("closed", ["2>&-", "2> >(exit)", "0<&- 1>&- 2>&-"])
def test_closed_standard_streams_change_nothing(
    tmp_path: Path, portrait_path: Path, speech_path: Path, closed: str
) -> None:
    command = f'sleep 0.2; "{sys.executable}" -m streamer.cli dub "{portrait_path}" "{speech_path}" -o out.mp4 {closed}'
    env = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    process = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=env, timeout=200, check=False)
    assert process.returncode == 0
    assert len(read_film(tmp_path / "out.mp4").times) == 15


def test_a_deleted_working_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    command = f'cd gone; rmdir ../gone; "{sys.executable}" -m streamer.cli dub a.mp4 b.wav -o c.mp4'
    env = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    process = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert process.returncode == 2
    assert process.stderr == "mytalk: error: the working folder was deleted (change to one that is there)\n"


def test_a_film_without_a_face_is_refused_with_the_size_it_needs(
    tmp_path: Path, speech_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write_film(tmp_path / "walls.mp4", map(numbered, range(12)))
    code, line = _refused(capsys, "dub", film, speech_path, "-o", tmp_path / "out.mp4")
    assert code == 2
    assert "no face found in any frame" in line
    assert "px wide" in line
    assert not (tmp_path / "out.mp4").exists()


def test_a_full_disk_is_one_line(
    tmp_path: Path,
    portrait_path: Path,
    speech_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OutputFullError("out.mp4: no space left for it")

    monkeypatch.setattr(FilmWriter, "finish", full)
    code, line = _refused(capsys, "dub", portrait_path, speech_path, "-o", tmp_path / "out.mp4")
    assert (code, "no space left" in line) == (3, True)
    assert [path.name for path in tmp_path.iterdir()] == ["speech.wav"]


def test_an_error_of_our_own_is_one_line_too(
    tmp_path: Path, speech_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug\nof two lines")

    monkeypatch.setattr("mytalk.media.open_face", wrong)
    code, line = _refused(capsys, "dub", "a.mp4", speech_path, "-o", tmp_path / "out.mp4")
    assert code == cli.BUG
    assert "ZeroDivisionError: a bug of two lines" in line


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert all(f"\n    {name} " in text for name in cli.COMMANDS)


def test_demo_makes_its_film_and_then_serves_its_page(
    tmp_path: Path, speech_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served: list[ServerConfig] = []
    monkeypatch.setattr(server, "serve", lambda config, ready: (served.append(config), ready("http://localhost:8123/")))
    monkeypatch.setattr(demo, "ServerConfig", lambda **given: ServerConfig(**given, demo_speech=speech_path))
    monkeypatch.chdir(tmp_path)
    Path("demo.mp4").write_text("an older demo")
    assert cli.main(["demo", "--port", "8123"]) == 0
    assert [config.port for config in served] == [8123]
    assert "http://localhost:8123/" in capsys.readouterr().out
    film = read_film(Path("demo.mp4"))
    assert len(film.times) == 15
    assert film.comment.startswith("Synthetic")
    assert cli.main(["demo", "--no-serve", "-o", "demo.mp4"]) == 3
    assert len(served) == 1


def test_the_embedded_demo_is_a_face_and_ten_seconds_of_speech(portrait_path: Path) -> None:
    from mytalk.media import SpeechReader

    speech = ServerConfig().demo_speech_path
    assert speech.stat().st_size < 300_000
    samples = np.concatenate(list(SpeechReader(speech).samples()))
    assert 9 < len(samples) / 16000 < 12
    assert open_face(portrait_path).still
