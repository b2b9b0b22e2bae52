"""Tests that the page about controls says of each what the table says."""

from __future__ import annotations

from pathlib import Path

from mytalk.controls import TABLE

PAGE = Path(__file__).parents[3] / "mytalk" / "docs" / "CONTROLS.md"


def test_the_page_has_each_control_with_its_range_and_default() -> None:
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{one.name}` | {one.applies_to} | {one.range} | {one.default_text} | {one.description} |" for one in TABLE
    ]
