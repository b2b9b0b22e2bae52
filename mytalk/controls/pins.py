"""Reads and writes key motions: a list of times, shapes and how long each is held."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from mytalk.controls.action_units import decode_units
from mytalk.media_time import SAMPLE_RATE

SHAPES: dict[str, tuple[float, str]] = {
    "closed": (0.0, ""),
    "open": (0.30, ""),
    "wide": (0.12, "20=1"),
    "round": (0.12, "18=1.3"),
    "smile": (0.0, "12=1"),
    "grin": (0.12, "12=1.1"),
    "pressed": (0.0, "23=1"),
}
"""Shapes by name: lip aperture in eye distances, and strengths of action units."""

MAX_PINS = 100
MAX_APERTURE = 0.6
"""Lip aperture, in eye distances, that a pin may ask for at most: a wide yawn."""

FORM = (
    "none, or TIME:SHAPE:HOLD parted by blanks, in seconds, as 1.2:closed:0.2 2:smile:0.5; SHAPE is one of "
    + ", ".join(SHAPES)
    + ", or APERTURE/UNIT=STRENGTH,..., as 0.1/12=0.8"
)


@dataclass(frozen=True, slots=True)
class KeyMotion:
    """Pins the mouth to ``shape`` from media time ``at`` on, for ``hold`` samples."""

    at: int
    shape: str
    hold: int = 0

    def __post_init__(self) -> None:
        decode_shape(self.shape)
        if self.hold < 0:
            raise ValueError("a hold below 0")


def decode_shape(text: str) -> tuple[float, dict[int, float]]:
    """Returns the aperture and the strengths of units of a shape. Raises ValueError."""
    gap, units = SHAPES[text] if text in SHAPES else _parts(text)
    if not 0 <= gap <= MAX_APERTURE:
        raise ValueError(text)
    return gap, decode_units(units) if units else {}


def _parts(text: str) -> tuple[float, str]:
    gap, _, units = text.partition("/")
    return float(gap), units


def decode_pins(text: str) -> tuple[KeyMotion, ...]:
    """Reads what `FORM` says. Raises ValueError."""
    if text.strip() in ("", "none"):
        return ()
    pins = []
    for part in text.split():
        time, shape, *hold = part.split(":")
        if len(hold) > 1:
            raise ValueError(part)
        pins.append(KeyMotion(_samples(time), shape, _samples(hold[0]) if hold else 0))
    if len(pins) > MAX_PINS:
        raise ValueError(f"{len(pins)} pins")
    return tuple(sorted(pins, key=lambda pin: pin.at))


def encode_pins(pins: tuple[KeyMotion, ...]) -> str:
    """Writes what `decode_pins` reads."""
    return " ".join(f"{_seconds(pin.at)}:{pin.shape}:{_seconds(pin.hold)}" for pin in pins) or "none"


def _samples(text: str) -> int:
    return round(Fraction(text) * SAMPLE_RATE)


def _seconds(samples: int) -> str:
    return f"{samples / SAMPLE_RATE:.10g}"
