"""What a client asks of a session, checked once at the door."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from streamer.errors import RequestError

if TYPE_CHECKING:
    from mytalk.stream import StreamOptions

MAX_STEPS = 50
MAX_MOUTH_OPENING = 3.0


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """``source``: the peer's camera, or the server's portrait. ``speech``: the peer's microphone, or the demo."""

    source: Literal["live", "portrait"] = "live"
    speech: Literal["live", "demo"] = "live"
    profile: Literal["low", "balanced", "quality"] = "balanced"
    seed: int = 0
    steps: int | None = None
    mouth_opening: float = 1.0

    @classmethod
    def from_json(cls, body: object) -> SessionOptions:
        """Raises ``RequestError`` that names the field, what it was and what it may be."""
        if not isinstance(body, dict):
            raise RequestError("the body is not a JSON object (need one, {} for all defaults)")
        known = [field.name for field in fields(cls)]
        for name in body:
            if name not in known:
                raise RequestError(f"unknown field {name!r} (known: {', '.join(known)})")
        for name, choices in _CHOICES.items():
            if name in body and body[name] not in choices:
                raise RequestError(f"{name} is {body[name]!r} (need one of {', '.join(choices)})")
        _check_number(body, "seed", int, 0, 2**32 - 1)
        _check_number(body, "mouth_opening", (int, float), 0, MAX_MOUTH_OPENING)
        if body.get("steps") is not None:
            _check_number(body, "steps", int, 1, MAX_STEPS)
        return cls(**body)

    def for_stream(self) -> StreamOptions:
        """The part that the models see. Imports torch: for the engine thread."""
        from mytalk.stream import StreamOptions

        return StreamOptions(
            seed=self.seed,
            steps=self.steps,
            profile=self.profile,
            mouth_opening=float(self.mouth_opening),
            still=self.source == "portrait",
            live=True,
        )


_CHOICES: dict[str, tuple[str, ...]] = {
    "source": ("live", "portrait"),
    "speech": ("live", "demo"),
    "profile": ("low", "balanced", "quality"),
}


def _check_number(body: dict[str, Any], name: str, kind: Any, low: int, high: float) -> None:
    value = body.get(name, low)
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
        noun = "whole number" if kind is int else "number"
        raise RequestError(f"{name} is {value!r} (need a {noun} from {low} to {high})")
