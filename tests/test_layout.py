"""Test modules stand alone: what two of them share is in a ``support`` package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    path for folder in ("tests", "benchmarks", "clients/python/tests") for path in (ROOT / folder).rglob("*.py")
)


def imports_of(path: Path) -> set[str]:
    """Every name that a module imports, with its package before it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module or ''}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_imports_a_test_module_or_a_conftest(path: Path) -> None:
    parts = {(name, part) for name in imports_of(path) for part in name.split(".") if name.startswith("tests")}
    assert [name for name, part in parts if part.startswith("test_") or part == "conftest"] == []
