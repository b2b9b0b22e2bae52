"""Names a part of a film."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mytalk.errors import OptionError


@dataclass(frozen=True, slots=True)
class Span:
    """Holds a part of a film in seconds, half open; without an ``end`` it goes on to the film's."""

    start: Fraction
    end: Fraction | None = None

    def __post_init__(self) -> None:
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            end = "" if self.end is None else f"{float(self.end):g}"
            raise OptionError(f"{float(self.start):g}-{end}: need a start of at least 0 s, and an end after it")

    def __contains__(self, seconds: Fraction) -> bool:
        return self.start <= seconds and (self.end is None or seconds < self.end)
