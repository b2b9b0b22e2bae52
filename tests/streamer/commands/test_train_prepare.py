from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mytalk.picture import Picture
from streamer import cli
from tests.support.limits import LIMIT_S
from tests.support.talking_films import swaying, write_talking

FRAMES = 52


def _mytalk(*words: object) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    command = [sys.executable, "-m", "streamer.cli", "train", "prepare", *map(str, words)]
    return subprocess.Popen(
        command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


@pytest.fixture
def videos(tmp_path: Path, portrait: Picture, babble: NDArray[np.float32]) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    pictures = swaying(portrait.rgb()[:320, 100:420], FRAMES)
    write_talking(folder / "ann.mkv", pictures, babble[: FRAMES * 640])
    (folder / "broken.mp4").write_bytes(b"no film")
    (folder / "notes.txt").write_text("none")
    return folder


def test_a_folder_is_prepared_and_what_was_left_out_is_printed(videos: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    process = _mytalk(videos, "-o", data, "--licence", "ours", "--min-face", 60)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    lines = out.splitlines()
    assert lines[0] == f"{data}: 1 clips of 1 people, 0.0 minutes"
    assert "s of processor time a second of video" in lines[1]
    assert lines[2] == "left out:"
    assert lines[3].split() == ["unreadable", "1", "0.0", "s"]
    assert lines[4] == f"where and why: {data / 'rejected.tsv'}"
    assert err.splitlines()[-1] == "mytalk: warning: 1 files are not named like videos: left alone"
    assert all(line.startswith(("preparing: ", "mytalk: warning: ")) for line in err.splitlines()), err


def test_errors_are_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "prepare", str(tmp_path), "-o", str(tmp_path / "data")]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"mytalk: error: {tmp_path}: no video in it (need files that end in ")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_asked_to_stop_it_ends_with_all_its_processes(
    tmp_path: Path, portrait: Picture, babble: NDArray[np.float32]
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    pictures = swaying(portrait.rgb()[:320, 100:420], 10 * FRAMES)
    film = write_talking(folder / "a.mkv", pictures, np.tile(babble, 4)[: 10 * FRAMES * 640])
    (folder / "b.mkv").write_bytes(film.read_bytes())
    process = _mytalk(folder, "-o", tmp_path / "data", "--processes", 2)
    while not (tmp_path / "data" / "journal.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 128 + signal.SIGTERM
    assert _gone(process.pid), "processes outlive the command"


def _gone(group: int) -> bool:
    """Whether no process of the group is left, 20 s from now at the latest."""
    for _ in range(400):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False
