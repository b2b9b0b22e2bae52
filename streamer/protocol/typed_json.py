"""JSON objects to frozen dataclasses and back, by their annotations. A mismatch says where, what and what is needed.

Understood: ``str``, ``int``, ``float``, ``bool``, ``None``, ``bytes`` (as base64), ``Literal``, ``Annotated`` with
:class:`Bounds`, unions, ``Mapping[str, ...]`` and other dataclasses.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

MOST_KEYS = 64
"""Keys of a mapping."""


class MismatchError(ValueError):
    """JSON that does not fit the type; the text is for the one who sent it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Least and most: of a number, or of a text's length."""

    least: float
    most: float


def read(kind: type, body: Mapping[str, Any], *, strict: bool) -> Any:
    """An instance of the dataclass ``kind``. ``strict``: a field that it does not have is a mismatch."""
    return _object(kind, body, "", strict)


def write(value: Any) -> Any:
    """What ``read`` reads; fields that are None are left out."""
    if is_dataclass(value) and not isinstance(value, type):
        found = {field.name: getattr(value, field.name) for field in fields(value)}
        return {name: write(part) for name, part in found.items() if part is not None}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {name: write(part) for name, part in value.items()}
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _object(kind: type, body: object, place: str, strict: bool) -> Any:
    if not isinstance(body, Mapping):
        raise MismatchError(f"{place or 'the message'} is {_shown(body)} (need an object)")
    hints = _hints(kind)
    unknown = [name for name in body if name not in hints]
    if strict and unknown:
        raise MismatchError(f"unknown field {_shown(place + unknown[0])} (known: {', '.join(hints)})")
    given = {name: _value(hints[name], body[name], place + name, strict) for name in hints if name in body}
    for field in fields(kind):
        if field.name not in given and field.default is MISSING and field.default_factory is MISSING:
            raise MismatchError(f"{place}{field.name} is missing (known: {', '.join(hints)})")
    return kind(**given)


def _value(kind: Any, value: Any, place: str, strict: bool) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _bounded(_value(arguments[0], value, place, strict), arguments[1], place)
    if origin is Literal:
        if not any(type(choice) is type(value) and choice == value for choice in arguments):
            raise MismatchError(f"{place} is {_shown(value)} (need one of {', '.join(map(str, arguments))})")
        return value
    if origin in (Union, UnionType):
        return _any_of(arguments, value, place, strict)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict) or len(value) > MOST_KEYS:
            raise MismatchError(f"{place} is {_shown(value)} (need an object of at most {MOST_KEYS} fields)")
        return {name: _value(arguments[1], part, f"{place}.{name}", strict) for name, part in value.items()}
    if is_dataclass(kind):
        return _object(kind if isinstance(kind, type) else type(kind), value, f"{place}.", strict)
    return _bytes(value, place) if kind is bytes else _plain(kind, value, place)


def _any_of(kinds: tuple[Any, ...], value: Any, place: str, strict: bool) -> Any:
    """The first of ``kinds`` that ``value`` is; the mismatch is that of the only one that is not None."""
    if value is None and NoneType in kinds:
        return None
    others = [kind for kind in kinds if kind is not NoneType]
    if len(others) == 1:
        return _value(others[0], value, place, strict)
    for kind in others:
        try:
            return _value(kind, value, place, strict)
        except MismatchError:
            continue
    raise MismatchError(f"{place} is {_shown(value)} (need {' or '.join(_NOUNS[kind] for kind in others)})")


_NOUNS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def _plain(kind: type, value: Any, place: str) -> Any:
    fits = isinstance(value, (int, float) if kind is float else kind) and isinstance(value, bool) == (kind is bool)
    if not fits or (isinstance(value, float) and not math.isfinite(value)):
        raise MismatchError(f"{place} is {_shown(value)} (need {_NOUNS[kind]})")
    return value


def _bounded(value: Any, bounds: Bounds, place: str) -> Any:
    size = len(value) if isinstance(value, str) else value
    if not bounds.least <= size <= bounds.most:
        what = f"{place} has {size} characters" if isinstance(value, str) else f"{place} is {_shown(value)}"
        raise MismatchError(f"{what} (need {bounds.least} to {bounds.most})")
    return value


def _bytes(value: Any, place: str) -> bytes:
    try:
        found = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError) as error:
        raise MismatchError(f"{place} is not base64 ({error})") from error
    if not found:
        raise MismatchError(f"{place} is empty or no text (need base64 of at least one byte)")
    return found


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    text = ascii(value) if not isinstance(value, int) or abs(value) < 10**20 else "too large a number"
    return text if len(text) <= 40 else text[:40] + "..."
