"""Every package that is published builds, and its wheel carries licence, readme and type marker, and no tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from email.parser import Parser
from email.policy import compat32
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    ".": "mytalk",
    "clients/python": "mytalk_client",
    "clients/livekit": "livekit/plugins/mytalk",
    "clients/pipecat": "pipecat_mytalk",
}


@pytest.mark.parametrize(("folder", "package"), PACKAGES.items())
def test_a_wheel_is_whole(folder: str, package: str, tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    kept_out = shutil.ignore_patterns(
        ".*", "build", "dist", "node_modules", "*.egg-info", "tests", "benchmarks", "data", "runs"
    )
    shutil.copytree(ROOT / folder, source, ignore=kept_out)
    command = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    [wheel] = out.glob("*.whl")
    with ZipFile(wheel) as archive:
        names = archive.namelist()
        [about] = (name for name in names if name.endswith(".dist-info/METADATA"))
        metadata = Parser(policy=compat32).parsestr(archive.read(about).decode())
    assert f"{package}/py.typed" in names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "# " in str(metadata.get_payload())
    assert not [name for name in names if "/tests/" in name or name.startswith("tests/")]
