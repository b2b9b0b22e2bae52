"""ARCHITECTURE.md names functions, layers and bounds that the code has."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "streamer" / "docs" / "ARCHITECTURE.md").read_text()
NAMES = sorted(set(re.findall(r"`([\w/]+\.py):([\w.]+)`", PAGE)))
MOST_WORDS = 25
PATHS = ("A microphone's chunk", "A camera's picture", "A clear", "A file")


def section(title: str) -> str:
    return PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]


@cache
def names_in(path: Path) -> frozenset[str]:
    """Functions, classes, methods and constants of a module."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef))
            found |= {f"{node.name}.{one.name}" for one in methods}
        targets = getattr(node, "targets", []) or [getattr(node, "target", node)]
        found |= {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
    return frozenset(found)


@pytest.mark.parametrize(("file", "name"), NAMES)
def test_what_is_named_exists(file: str, name: str) -> None:
    path = ROOT / file if file.startswith("mytalk/") else ROOT / "streamer" / file
    assert path.is_file(), file
    assert name in names_in(path), f"{file}:{name}"


@pytest.mark.parametrize("title", PATHS)
def test_each_path_is_a_numbered_list_of_functions(title: str) -> None:
    steps = re.findall(r"^(\d+)\. .*(?:\n {3,}.*)*", section(title), re.MULTILINE)
    assert steps == [str(number) for number in range(1, len(steps) + 1)]
    assert len(steps) > 4
    assert re.search(r"`[\w/]+\.py:[\w.]+`", section(title))


def test_layers_are_those_of_the_import_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [one["layers"] for one in contracts if one.get("containers") == ["streamer"]]
    documented = section("Layers").split("```")[1]
    assert [set(re.findall(r"\w+", layer)) for layer in documented.split("->")] == [
        set(re.findall(r"\w+", layer)) for layer in layers
    ]


def test_bounds_of_queues_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| [^|]+ \| `([\w/]+)\.py:(\w+)` \| ([^|]+) \|", section("Queues"), re.MULTILINE)
    assert len(rows) > 15
    for file, name, documented in rows:
        package = "" if file.startswith("mytalk/") else "streamer."
        bound = getattr(importlib.import_module(package + file.replace("/", ".")), name)
        values = list(bound.values()) if isinstance(bound, dict) else [bound]
        assert [int(number) for number in re.findall(r"\d+", documented)][: len(values)] == values, f"{file}:{name}"


def test_the_glossary_is_short() -> None:
    words = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", section("Glossary"), re.MULTILINE)[2:]
    assert 10 < len(words) <= MOST_WORDS
    assert words == sorted(words)
