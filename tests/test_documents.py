"""Every link between documents leads somewhere, and README stays short."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
LINES, WORDS = 120, 1_200


@cache
def documents() -> list[Path]:
    """Markdown files of the repository, without what is installed or built in it."""
    skipped = {".venv", ".venv-agents", "node_modules", "build", "dist"}
    found = (path for path in ROOT.rglob("*.md") if not skipped & set(path.relative_to(ROOT).parts))
    return sorted(path for path in found if not any(part.endswith(".egg-info") for part in path.parts))


def anchors(path: Path) -> set[str]:
    """Names that GitHub gives the headings of a file."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_documents_are_found() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in documents()}
    assert {"README.md", "streamer/docs/PROTOCOL.md", "clients/js/README.md", "benchmarks/RESULTS.md"} <= names


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_relative_links_lead_to_files_and_headings(path: Path) -> None:
    for link in LINK.findall(path.read_text()):
        if "://" in link:
            continue
        name, _, heading = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if heading:
            assert heading in anchors(target), link


def test_commands_of_benchmarks_name_modules_that_exist() -> None:
    for path in documents():
        for module in re.findall(r"python -m (benchmarks\.[\w.]+\w)", path.read_text()):
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), f"{path}: {module}"


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= LINES
    assert len(text.split()) <= WORDS
