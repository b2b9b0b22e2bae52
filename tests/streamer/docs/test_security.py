"""SECURITY.md's limits have the values of the code."""

from __future__ import annotations

import importlib
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from streamer.clock import SECOND_NS

DOCS = Path(__file__).parents[3] / "streamer" / "docs"
ROW = re.compile(r"^\| [^|]+ \| (\d+)( s| bytes| pixels)? \| `([\w/]+)\.py:([\w.]+)` \| [^|]+ \|$", re.MULTILINE)


def limits() -> list[tuple[str, str, str, str]]:
    return ROW.findall((DOCS / "SECURITY.md").read_text())


def value_of(module: str, name: str) -> Any:
    """The value of ``NAME``, or the default of ``Class.field``."""
    holder = getattr(importlib.import_module("streamer." + module.replace("/", ".")), name.partition(".")[0])
    if "." not in name:
        return holder
    [field] = [one for one in fields(holder) if one.name == name.partition(".")[2]]
    assert field.default is not MISSING
    return field.default


def test_every_line_of_the_table_is_read() -> None:
    text = (DOCS / "SECURITY.md").read_text()
    table = text[text.index("## Limits") : text.index("## How to report")]
    assert len(limits()) == sum(line.startswith("| ") for line in table.splitlines()) - 1  # the head
    assert len(limits()) >= 35
    assert len({(module, name) for _, _, module, name in limits()}) == len(limits())


@pytest.mark.parametrize(("documented", "unit", "module", "name"), limits())
def test_limits_are_those_of_the_code(documented: str, unit: str, module: str, name: str) -> None:
    value = value_of(module, name)
    if unit == " s" and name in ("CONNECT_WAIT", "SILENCE"):
        value /= SECOND_NS
    assert float(documented) == value


def test_the_operators_page_leads_here() -> None:
    assert "(SECURITY.md)" in (DOCS / "OPERATIONS.md").read_text()
