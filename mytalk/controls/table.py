"""Describes one control: name, kind, range, unit, default, and what it applies to. Fields of a dataclass carry it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, dataclass, field
from math import isfinite
from typing import Any, Literal

from mytalk.errors import OptionError

Kind = Literal["number", "whole", "choice", "coded"]
Side = Literal["both", "films", "portraits"]
"""Kinds of faces that a control applies to. A film's own head, eyes and brows are never touched."""

_KEY = "control"


@dataclass(frozen=True, slots=True)
class Part:
    """Describes one of the numbers that a value is made of."""

    name: str
    least: float
    most: float
    unit: str


@dataclass(frozen=True, slots=True)
class Control:
    """Describes one control.

    ``number`` and ``whole`` lie in ``least`` to ``most``, ``choice`` is one of ``choices``, and ``coded`` is a value
    that ``decode`` reads from a text and ``encode`` writes as one. ``default`` None: the preset's own. ``live``: it may
    change while a session runs. ``fades``: a change goes over within 120 ms of pictures; others hold from the next
    window or picture on.
    """

    name: str
    kind: Kind
    default: Any
    description: str
    applies_to: Side = "both"
    unit: str = ""
    least: float = 0.0
    most: float = 0.0
    choices: tuple[str, ...] = ()
    live: bool = True
    fades: bool = True
    decode: Callable[[str], Any] | None = None
    encode: Callable[[Any], str] | None = None
    form: str = ""  # of a coded value, in words
    parts: tuple[Part, ...] = ()  # of a coded value that is several numbers
    begun: Callable[[Any, Any, int], Any] | None = None  # makes of a value, the last one and media time what holds

    @property
    def range(self) -> str:
        """Returns in words what the value may be.

        >>> Control("seed", "whole", 0, "", most=3, unit="frames").range
        '0 to 3 frames'
        """
        if self.kind == "choice":
            return ", ".join(self.choices)
        if self.kind == "coded":
            return self.form
        return f"{self.least:.16g} to {self.most:.16g}{f' {self.unit}' if self.unit else ''}"

    @property
    def option(self) -> str:
        """Returns the name of its command line option."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def default_text(self) -> str:
        """Returns the default as a text; that of None is the preset's own."""
        return "the preset's" if self.default is None else self.written(self.default)

    @property
    def help(self) -> str:
        """Returns the description with range and default, for people."""
        return f"{self.description}: {self.range} (default: {self.default_text})"

    def check(self, value: Any) -> None:
        """Raises OptionError, which names the range, for a value that is not in it."""
        if value is None and self.default is None:
            return
        if self.kind == "coded":
            assert self.decode is not None
            assert self.encode is not None
            try:
                self.decode(self.encode(value))
            except (ValueError, TypeError, AttributeError) as error:
                raise self.refused(value) from error
            return
        numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = {
            "choice": value in self.choices,
            "number": numeric and isfinite(value) and self.least <= value <= self.most,
            "whole": numeric and isinstance(value, int) and self.least <= value <= self.most,
        }
        if not fits[self.kind]:
            raise self.refused(value)

    def read(self, text: str) -> Any:
        """Reads a value from a text. Raises OptionError, which names the range."""
        try:
            if self.kind == "coded":
                assert self.decode is not None
                return self.decode(text)
            value = {"number": float, "whole": int, "choice": str}[self.kind](text)
        except ValueError as error:
            raise self.refused(text) from error
        self.check(value)
        return value

    def written(self, value: Any) -> str:
        """Writes a value as ``read`` reads it."""
        if self.encode is not None:
            return self.encode(value)
        return f"{value:g}" if self.kind == "number" else str(value)

    def refused(self, value: Any) -> OptionError:
        """Returns the error for a value that is not in range."""
        given = str(value)[:60]
        return OptionError(f"{self.name} is {repr(given) if isinstance(value, str) else given} (need {self.range})")


def number(default: float, least: float, most: float, description: str, *, unit: str = "", of: Side = "both") -> Any:
    """Makes the field of a control that is a number and fades."""
    return _field("number", default, description, least=least, most=most, unit=unit, applies_to=of)


def whole(default: int | None, least: int, most: int, description: str, *, unit: str = "") -> Any:
    """Makes the field of a control that is a whole number: of the motion to come, without a fade."""
    return _field("whole", default, description, least=least, most=most, unit=unit, fades=False)


def choice(default: str, choices: tuple[str, ...], description: str, *, of: Side = "both", fades: bool = True) -> Any:
    """Makes the field of a control that is one of several words."""
    return _field("choice", default, description, choices=choices, applies_to=of, fades=fades)


def coded(
    default: Any,
    decode: Callable[[str], Any],
    encode: Callable[[Any], str],
    form: str,
    description: str,
    *,
    of: Side = "both",
    fades: bool = True,
    choices: tuple[str, ...] = (),
    **given: Any,
) -> Any:
    """Makes the field of a control whose value is more than one number or word; ``choices``: texts to be offered.

    ``decode`` raises ValueError.
    """
    given |= {"decode": decode, "encode": encode, "form": form, "choices": choices}
    return _field("coded", default, description, applies_to=of, fades=fades, **given)


def numbers(parts: tuple[Part, ...], description: str, *, of: Side = "both") -> Any:
    """Makes the field of a control that is several numbers, 0 by default: ``10,-5``; what is left out at the end is
    0."""

    def decode(text: str) -> tuple[float, ...]:
        values = [float(value) for value in text.split(",")]
        values += [0.0] * (len(parts) - len(values))
        if not all(part.least <= value <= part.most for part, value in zip(parts, values, strict=True)):
            raise ValueError(text)
        return tuple(values)

    def encode(value: tuple[float, ...]) -> str:
        return ",".join(f"{one:.16g}" for one in value)

    form = ", ".join(f"{part.name} {part.least:g} to {part.most:g} {part.unit}" for part in parts)
    return coded((0.0,) * len(parts), decode, encode, form, description, of=of, parts=parts)


def control_of(one: Field[Any]) -> Control | None:
    """Returns the control that a dataclass field carries; None for another field."""
    given = one.metadata.get(_KEY)
    return None if given is None else Control(name=one.name, default=one.default, **given)


def _field(kind: Kind, default: Any, description: str, **given: Any) -> Any:
    return field(default=default, metadata={_KEY: {"kind": kind, "description": description, **given}})
