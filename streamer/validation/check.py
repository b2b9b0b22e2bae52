"""Checks JSON values against types of `msgspec`, and says where one does not fit, what was given and what is needed.

`msgspec` finds the mismatch and names its place; the words are made from the type that stands there.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from streamer.errors import MismatchError
from streamer.validation.wording import alternatives, description, needed, shown

T = TypeVar("T")

_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_FIELD = re.compile(r"Object (missing|contains).* field `(.*)`")


def checked(value: object, kind: type[T], place: str = "") -> T:
    """Returns ``value``, built of dicts, lists, texts and numbers, as an instance of ``kind``.

    ``place``: where the value is, for errors; a body of its own has none. Raises ``MismatchError``.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise MismatchError(_explained(str(error), value, kind, place)) from error


def _explained(error: str, value: Any, kind: Any, place: str) -> str:
    reason, _, path = error.partition(" - at `$")
    for key, index in _STEP.findall(path.partition("`")[0]):
        if description(kind):
            break
        if key:
            kind, value, place = _field(kind, key), value[key], f"{place}.{key}"
        else:
            kind, key = _element(kind, index, value)
            value, place = value[key], f"{place}[{key}]" if isinstance(key, int) else f"{place}.{key}"
    place = place.removeprefix(".")
    if found := _FIELD.match(reason):
        known = ", ".join(_hints(_struct(kind)))
        field = f"{place}.{found[2]}".removeprefix(".")
        wrong = f"{field} is missing" if found[1] == "missing" else f"unknown field {shown(field)}"
        return f"{wrong} (known: {known})"
    return f"{place or 'the body'} is {shown(value)} (need {needed(kind)})"


def _hints(struct: Any) -> dict[str, Any]:
    return get_type_hints(struct, include_extras=True)


def _members(kind: Any) -> list[Any]:
    """The types that ``kind`` may be, without what is only said of them and without None."""
    return [get_args(one)[0] if get_origin(one) is Annotated else one for one in alternatives(kind)]


def _struct(kind: Any) -> Any:
    return next(one for one in _members(kind) if isinstance(one, type) and issubclass(one, msgspec.Struct))


def _field(kind: Any, name: str) -> Any:
    return _hints(_struct(kind))[name]


def _element(kind: Any, index: str, value: Any) -> tuple[Any, Any]:
    """The type of an element, and its key: for a mapping, which `msgspec` does not say, the first that does not fit."""
    container = next(one for one in _members(kind) if get_args(one))
    arguments = get_args(container)
    if index == "...":
        return arguments[1], next(key for key, one in value.items() if not _fits(one, arguments[1]))
    fixed = get_origin(container) is tuple and arguments[-1] is not Ellipsis
    return arguments[int(index) if fixed else 0], int(index)


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True
