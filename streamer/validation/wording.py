"""Puts into words, for the one who sent it, what a value is and what a type needs."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import inspect


def shown(value: object) -> str:
    """Returns a value as errors quote it: ASCII, 43 characters at most."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list) and (len(value) > 8 or any(isinstance(part, (list, Mapping)) for part in value)):
        return f"a list of {len(value)}"
    text = ascii(value) if not isinstance(value, int) or abs(value) < 10**20 else "too large a number"
    return text if len(text) <= 40 else text[:40] + "..."


def needed(kind: Any) -> str:
    """Returns what a value of that type has to be: its description, or its bounds."""
    return description(kind) or " or ".join(map(_noun, alternatives(kind)))


def _noun(kind: Any) -> str:
    plain = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(plain) is Literal:
        return f"one of {', '.join(map(str, get_args(plain)))}"
    match info := inspect.type_info(kind):
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number" + _range(info.ge, info.le)
        case inspect.FloatType():
            return "a number" + _range(info.ge, info.le)
        case inspect.StrType():
            return "a text" + _range(info.min_length, info.max_length, "characters")
        case inspect.BytesType():
            return "base64" + (" of at least one byte" if info.min_length else "")
        case inspect.DictType():
            return "an object" + _range(None, info.max_length, "fields")
        case inspect.StructType():
            return "an object"
        case _:
            return "a list"


def _range(least: float | None, most: float | None, unit: str = "") -> str:
    low, high = (None if bound is None else f"{bound:.16g}" for bound in (least, most))
    if low is not None and high is not None:
        text = f" of {low} to {high}" if unit else f" from {low} to {high}"
    else:
        text = f" of at most {high}" if high is not None else f" of at least {low}" if low is not None else ""
    return f"{text} {unit}".rstrip() if text else ""


def description(kind: Any) -> str | None:
    """Returns the description in the type's ``Meta``, which speaks for its parts too."""
    if get_origin(kind) is Annotated:
        metas = (meta for meta in get_args(kind)[1:] if isinstance(meta, msgspec.Meta))
        return next((meta.description for meta in metas if meta.description), None)
    parts = get_args(kind) if get_origin(kind) in (Union, UnionType) else ()
    return next(filter(None, map(description, parts)), None)


def alternatives(kind: Any) -> list[Any]:
    """Returns the types that ``kind`` may be, with their bounds and without None."""
    inner = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if get_origin(inner) in (Union, UnionType):
        return [one for part in get_args(inner) if part is not NoneType for one in alternatives(part)]
    return [kind]
