"""The tree of errors in the docstring is that of the classes, and each class has one HTTP status and one close code."""

from __future__ import annotations

import re

import pytest

from mytalk import errors as root
from mytalk.errors import MyTalkError
from streamer import errors

_LINE = re.compile(r"^(?P<indent>[│├└─ ]*)(?P<name>\w+Error)\b *(?P<status>\d{3})?")


def drawn() -> list[tuple[str, str | None, int | None]]:
    """Name, name of its parent, and status, line by line."""
    rows: list[tuple[str, str | None, int | None]] = []
    parents: list[tuple[int, str]] = []
    assert errors.__doc__ is not None
    for line in errors.__doc__.partition("::\n\n")[2].splitlines():
        if (found := _LINE.match(line)) is None:
            continue
        depth, name = len(found["indent"]), found["name"]
        while parents and parents[-1][0] >= depth:
            parents.pop()
        status = int(found["status"]) if found["status"] else None
        rows.append((name, parents[-1][1] if parents else None, status))
        parents.append((depth, name))
    return rows


def known(name: str) -> type[MyTalkError]:
    kind: type[MyTalkError] = getattr(errors, name, None) or getattr(root, name)
    return kind


def test_every_class_is_drawn_once() -> None:
    names = [name for name, _, _ in drawn()]
    assert sorted(names) == sorted({*errors.__all__, "InputError", "EngineError", "ServerError"})


@pytest.mark.parametrize(("name", "parent", "status"), drawn(), ids=lambda part: str(part))
def test_a_class_is_where_it_is_drawn_and_has_the_status_that_is_drawn(
    name: str, parent: str | None, status: int | None
) -> None:
    kind = known(name)
    if parent is not None:
        assert kind.__bases__ == (known(parent),)
        assert kind.http_status == (status if status is not None else known(parent).http_status)
    assert kind.close_code in (1008, 1011, 1013)
