"""Every package that is imported is declared in pyproject.toml, and not left to another package to bring."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OWN = {"mytalk", "streamer", "mytalk_client", "benchmarks", "tests", "lines"}

ELSEWHERE = {
    ROOT / "benchmarks" / "live" / "agents.py",
    ROOT / "tests" / "streamer" / "support" / "gstreamer_publisher.py",
}
"""Run elsewhere: in the environment of the agents' plug-ins, which declare what it imports, and in the system's own
Python, where GStreamer's bindings are."""

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def names_of(requirements: list[str]) -> set[str]:
    """Distribution names, normalised as PEP 503 has it, extras of our own left out.

    OpenCV has four, of which whichever is installed will do: MediaPipe brings the one with ``contrib``.
    """
    found = (re.match(r"[A-Za-z0-9_.-]+", requirement) for requirement in requirements)
    names = {re.sub(r"[-_.]+", "-", match[0]).lower() for match in found if match} - {"mytalk-streamer"}
    return {re.sub(r"^opencv(-contrib)?-python(-headless)?$", "opencv", name) for name in names}


def imported(path: Path, *, at_import: bool) -> set[str]:
    """Top-level modules that a file imports: as it is imported itself, or anywhere in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if at_import else list(ast.walk(tree))
    modules = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            modules.add(node.module.partition(".")[0])
    return modules - OWN - sys.stdlib_module_names - {"_typeshed"}  # of type checkers alone


def undeclared(folder: str, declared: set[str], *, at_import: bool) -> set[str]:
    """Modules of a folder that no declared distribution holds."""
    holders = packages_distributions()
    paths = (path for path in (ROOT / folder).rglob("*.py") if path not in ELSEWHERE)
    modules = {module for path in paths for module in imported(path, at_import=at_import)}
    return {module for module in modules if not names_of(holders.get(module, [module])) & declared}


@pytest.mark.parametrize("folder", ["mytalk", "streamer", "benchmarks", "tests"])
def test_what_is_imported_is_declared(folder: str) -> None:
    declared = names_of(PROJECT["dependencies"]).union(*(names_of(extra) for extra in EXTRAS.values()))
    client = tomllib.loads((ROOT / "clients" / "python" / "pyproject.toml").read_text())["project"]
    optional = names_of([*client["dependencies"], *client["optional-dependencies"]["mic"]])
    assert undeclared(folder, declared | optional, at_import=False) == set()


def test_the_server_starts_with_what_is_installed_without_extras() -> None:
    assert undeclared("streamer", names_of(PROJECT["dependencies"]), at_import=True) == set()


def test_a_package_that_another_brings_along_is_found_out() -> None:
    assert "cv2" in undeclared("mytalk", names_of(["numpy", "scikit-image"]), at_import=False)
