"""What a client asks of a session, checked once at the door."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mytalk.media_time import SAMPLE_RATE
from streamer.errors import RequestError
from streamer.media.video_delay import MOST_DELAY
from streamer.outputs.push_targets import check_url

if TYPE_CHECKING:
    from mytalk.face import Choice
    from mytalk.stream_options import StreamOptions

MAX_STEPS = 50
MAX_MOUTH_OPENING = 3.0


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """``source``: the peer's camera, or the server's portrait. ``speech``: the peer's microphone, the demo, or what a
    client streams (``stream``).

    ``face`` says which one speaks: the largest, or the one nearest to a point (shares of the picture's sides).
    ``on_silence``: the mouth rests, or the picture is shown as it came.
    ``video_delay`` holds the camera's pictures for so many milliseconds: dubbed speech comes that much later.
    ``record``: into the server's folder of recordings. ``push``: to a streaming server, a URL of RTMP or SRT.
    """

    source: Literal["live", "portrait"] = "live"
    speech: Literal["live", "demo", "stream"] = "live"
    profile: Literal["low", "balanced", "quality"] = "balanced"
    seed: int = 0
    steps: int | None = None
    mouth_opening: float = 1.0
    record: bool = False
    push: str | None = None
    video_delay: int = 0
    face: Choice = "largest"
    on_silence: Literal["close", "passthrough"] = "close"

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
        if not isinstance(body.get("record", False), bool):
            raise RequestError(f"record is {body['record']!r} (need true or false)")
        if body.get("push") is not None:
            check_url(body["push"])
        _check_number(body, "video_delay", int, 0, MOST_DELAY * 1000 // SAMPLE_RATE)
        if body.get("video_delay") and body.get("source", "live") != "live":
            raise RequestError("video_delay holds a camera's pictures (need source live, or video_delay 0)")
        return cls(**body | {"face": face_of(body.get("face", "largest"))})

    def recording_targets(self, recordings: Path | None, session_id: str) -> list[Path | str]:
        """Where the session is recorded: a file named after it in ``recordings``, the URL of ``push``, both or none."""
        file = [recordings / f"{session_id}.mp4"] if self.record and recordings is not None else []
        return [*file, *([self.push] if self.push is not None else [])]

    def for_stream(self) -> StreamOptions:
        """The part that the models see. Imports torch: for the engine thread."""
        from mytalk.stream_options import StreamOptions

        return StreamOptions(
            seed=self.seed,
            steps=self.steps,
            profile=self.profile,
            mouth_opening=float(self.mouth_opening),
            still=self.source == "portrait",
            alive=self.source == "portrait",
            live=True,
            face=self.face,
            on_silence=self.on_silence,
        )


_CHOICES: dict[str, tuple[str, ...]] = {
    "on_silence": ("close", "passthrough"),
    "source": ("live", "portrait"),
    "speech": ("live", "demo", "stream"),
    "profile": ("low", "balanced", "quality"),
}


def face_of(said: object) -> Choice:
    """What JSON says of the face that speaks. Raises ``RequestError``."""
    if said == "largest":
        return "largest"
    if isinstance(said, list) and len(said) == 2:
        x, y = said
        numbers = isinstance(x, int | float) and isinstance(y, int | float) and not isinstance(x, bool)
        if numbers and 0 <= x <= 1 and 0 <= y <= 1:
            return float(x), float(y)
    raise RequestError(f"face is {said!r} (need 'largest', or a point as two shares from 0 to 1)")


def _check_number(body: dict[str, Any], name: str, kind: Any, low: int, high: float) -> None:
    value = body.get(name, low)
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
        noun = "whole number" if kind is int else "number"
        raise RequestError(f"{name} is {value!r} (need a {noun} from {low} to {high})")
