"""The package's public face: its names, its version, its types, and what it says on standard error."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import mytalk

ROOT = Path(__file__).resolve().parents[2]


def test_every_public_name_is_there_and_listed() -> None:
    assert all(getattr(mytalk, name) is not None for name in mytalk.__all__)
    assert set(mytalk.__all__) <= set(dir(mytalk))
    assert re.match(r"\d+\.\d+|unreleased", mytalk.__version__)


def test_both_packages_say_that_they_are_typed() -> None:
    assert all((files(name) / "py.typed").is_file() for name in ("mytalk", "streamer"))
    packaged = (ROOT / "pyproject.toml").read_text()
    assert packaged.count('["py.typed", ') == 2


def test_the_readmes_python_runs_as_it_stands_with_a_clean_standard_error() -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    checked = snippet + "assert len(dubbed) == 25 and (dubbed[-1] != portrait).any()\n"
    own = "import os; os.write(2, b'a line of the user\\n')\n"
    done = subprocess.run(
        [sys.executable, "-c", checked + own],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "a line of the user\n"
