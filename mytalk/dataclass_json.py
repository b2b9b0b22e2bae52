"""Builds frozen dataclasses of sizes from plain JSON values, checked field by field."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from mytalk.errors import PresetError

T = TypeVar("T")


def build_sizes(kind: type[T], values: object, where: str) -> T:
    """Builds a dataclass of type ``kind`` from a JSON object; fields that have a default may be left out.

    Raises PresetError naming the field that is unknown, missing or of another type.
    """
    if not isinstance(values, Mapping):
        raise PresetError(f"{where}: need an object of sizes, got {values!r}")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in fields:
            raise PresetError(f"{where}: {name} is unknown to this version (known: {', '.join(fields)}); update it")
    for name, field in fields.items():
        if name not in values and field.default is dataclasses.MISSING:
            raise PresetError(f"{where}: {name} is missing; restore the file that training wrote")
    hints = typing.get_type_hints(kind)
    built = {name: _value(hints[name], value, f"{where}.{name}") for name, value in values.items()}
    try:
        return kind(**built)
    except PresetError as error:  # sizes that do not go together
        raise PresetError(f"{where}: {error}") from error


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build_sizes(hint, value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(_value(inner[0], one, where) for one in value)
    if origin is Literal and value in inner:
        return value
    if origin in (types.UnionType, typing.Union):
        for one in inner:
            if one is type(None) and value is None:
                return None
            if one is not type(None) and value is not None:
                return _value(one, value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and type(value) is hint:
        return value
    wanted = f"one of {', '.join(map(repr, inner))}" if origin is Literal else getattr(hint, "__name__", str(hint))
    raise PresetError(f"{where}: need {wanted}, got {value!r}")
