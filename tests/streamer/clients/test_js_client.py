"""Runs the TypeScript client's own tests, its build, the check of the page's copy, and its tests against a server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from streamer.http.server import Running

PACKAGE = Path(__file__).resolve().parents[3] / "clients" / "js"


def _can_run() -> bool:
    """Tells whether there are npm and Node 20 or newer."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return False
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return int(version.removeprefix("v").partition(".")[0] or 0) >= 20


pytestmark = pytest.mark.skipif(not _can_run(), reason="no npm with Node 20 or newer on this machine")


def npm(*arguments: str) -> str:
    """Runs npm in the package and returns what it printed. Fails where npm does."""
    done = subprocess.run(["npm", *arguments], cwd=PACKAGE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"npm {' '.join(arguments)}\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built() -> None:
    """Installs the tools of the lock file, where they are not installed yet, and builds the package."""
    lock, installed = PACKAGE / "package-lock.json", PACKAGE / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        npm("ci", "--no-audit", "--no-fund")
    npm("run", "build")


@pytest.mark.usefixtures("built")
def test_its_types_and_its_own_tests_pass() -> None:
    npm("run", "check")
    assert re.search(r"Tests .* passed", npm("test"))


@pytest.mark.usefixtures("built")
def test_the_page_has_the_newest_build_of_it() -> None:
    npm("run", "bundle", "--", "--check")


@pytest.mark.usefixtures("built")
def test_its_size_is_below_20_kb() -> None:
    row = next(line for line in npm("run", "size").splitlines() if line.startswith("mytalk-client"))
    assert float(row.split()[-4]) < 20  # kB of gzip


def test_it_needs_nothing_else_at_run_time_and_its_lock_names_no_registry() -> None:
    assert '"dependencies"' not in (PACKAGE / "package.json").read_text()
    assert "resolved" not in (PACKAGE / "package-lock.json").read_text()


@pytest.mark.usefixtures("built")
def test_its_package_carries_licence_readme_and_types() -> None:
    [pack] = json.loads(npm("pack", "--dry-run", "--json", "--ignore-scripts"))
    packed = {file["path"] for file in pack["files"]}
    assert {"LICENSE", "README.md", "package.json", "dist/index.js", "dist/index.d.ts"} <= packed
    assert all(path.startswith("dist/") or "/" not in path for path in packed)


@pytest.mark.usefixtures("built")
async def test_it_speaks_with_our_server(server: Running) -> None:
    test = await asyncio.create_subprocess_exec(
        *("npx", "vitest", "run", "test/live.test.ts"),
        cwd=PACKAGE,
        env=os.environ | {"MYTALK_URL": server.url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await test.communicate()
    assert test.returncode == 0, out.decode()[-6000:]
    assert "skipped" not in out.decode()
