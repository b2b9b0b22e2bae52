"""Runs ``edge`` on a CPU where nothing of the extras can be imported, and says in one line what else needs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.films import read_film, speech_like, write_sound

ROOT = Path(__file__).resolve().parents[2]
PORTRAIT = ROOT / "mytalk" / "assets" / "astronaut.png"

PATIENCE_S = 800  # the first run on a machine compiles the renderer

EXTRAS = ("torch", "onnx", "mediapipe", "jax", "matplotlib", "transformers", "scipy", "skimage", "accelerate")

_BLOCKED = f"import sys; sys.modules.update(dict.fromkeys({EXTRAS!r}))\n"
"""As if they were not installed: an import of what is None fails."""


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs code in a process that has no extras."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", _BLOCKED + code], cwd=folder, env=env, capture_output=True, text=True, timeout=PATIENCE_S
    )


def command(*words: object) -> str:
    return f"from streamer.cli import main; sys.exit(main({[str(word) for word in words]!r}))"


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    return write_sound(tmp_path / "speech.wav", speech_like(0.6, 16000), 16000, layout="mono")


@pytest.mark.timeout(PATIENCE_S)
def test_a_film_is_dubbed(tmp_path: Path, speech: Path) -> None:
    done = run(command("dub", PORTRAIT, speech, "-o", "out.mp4"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(read_film(tmp_path / "out.mp4").times) == 15


def test_the_server_and_its_models_need_none(tmp_path: Path) -> None:
    code = """
import mytalk, streamer.http.server, streamer.commands.demo, streamer.commands.serve
from mytalk import StreamOptions
mytalk.load("edge", "cpu").stream(StreamOptions(live=True)).close()
"""
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("dub", PORTRAIT, "speech.wav", "-o", "out.mp4", "--dtype", "bfloat16"), "gpu"),
        (("dub", PORTRAIT, "speech.wav", "-o", "out.mp4", "--device", "cuda"), "gpu"),
        (("train", "graphs", "somewhere"), "train"),
        (("evaluate", PORTRAIT, "-o", "report"), "evaluate"),
    ],
)
def test_what_needs_an_extra_says_so_in_one_line(
    tmp_path: Path, speech: Path, words: tuple[object, ...], extra: str
) -> None:
    done = run(command(*words), tmp_path)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("loading")]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("mytalk: error: ")
    assert lines[0].endswith(f"needs torch: pip install 'mytalk-streamer[{extra}]'")
    assert done.returncode == 2
