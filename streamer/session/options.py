"""Reads what a client asks of a session, checked once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from mytalk.media_time import SAMPLE_RATE
from mytalk.stream_options import StreamControls, StreamOptions
from streamer.errors import RequestError
from streamer.media.video_delay import MOST_DELAY
from streamer.outputs.push_targets import check_url
from streamer.validation import checked

MAX_STEPS = 50
MAX_MOUTH_OPENING = 3.0


Share = Annotated[float, Meta(ge=0, le=1)]
"""Of a side of the picture."""

Face = Annotated[
    Literal["largest"] | tuple[Share, Share], Meta(description="'largest', or a point as two shares from 0 to 1")
]


class SessionOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """Holds what a client asks of a session.

    ``source``: the peer's camera, or the server's portrait. ``speech``: the peer's microphone, the demo, or what a
    client streams (``stream``).

    ``face`` says which one speaks: the largest, or the one nearest to a point (shares of the picture's sides).
    ``on_silence``: the mouth rests, or the picture is shown as it came.
    ``video_delay`` holds the camera's pictures for so many milliseconds: dubbed speech comes that much later.
    ``on_camera_left``: what leaves while a camera that was there sends no picture, see PROTOCOL.md.
    ``own_speech``: the speech is that of the person who is seen, from the same microphone as the pictures: the mouth
    adapts to how they speak.
    ``record``: into the server's folder of recordings. ``push``: to a streaming server, a URL of RTMP or SRT.
    """

    source: Literal["live", "portrait"] = "live"
    speech: Literal["live", "demo", "stream"] = "live"
    profile: Literal["low", "balanced", "quality"] = "balanced"
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0
    steps: Annotated[int, Meta(ge=1, le=MAX_STEPS)] | None = None
    mouth_opening: Annotated[float, Meta(ge=0, le=MAX_MOUTH_OPENING)] = 1.0
    record: bool = False
    push: str | None = None
    video_delay: Annotated[int, Meta(ge=0, le=MOST_DELAY * 1000 // SAMPLE_RATE)] = 0
    face: Face = "largest"
    on_silence: Literal["close", "passthrough"] = "close"
    on_camera_left: Literal["hold", "idle", "end"] = "hold"
    own_speech: bool = False

    @classmethod
    def from_json(cls, body: object) -> SessionOptions:
        """Raises ``RequestError`` that names the field, what it was and what it may be."""
        if not isinstance(body, dict):
            raise RequestError("the body is not a JSON object (need one, {} for all defaults)")
        options = checked(body, cls)
        if options.push is not None:
            check_url(options.push)
        if options.video_delay and options.source != "live":
            raise RequestError("video_delay holds a camera's pictures (need source live, or video_delay 0)")
        if options.own_speech and (options.source, options.speech) != ("live", "live"):
            raise RequestError(
                "own_speech is a camera's and a microphone's of one person (need source and speech live)"
            )
        return options

    def check_steps(self, most: int) -> None:
        """Raises ``RequestError`` where it asks for more sampling steps than the server allows."""
        if self.steps is not None and self.steps > most:
            raise RequestError(f"steps is {self.steps}: this server allows 1 to {most} (its operator sets --max-steps)")

    def recording_targets(self, recordings: Path | None, session_id: str) -> list[Path | str]:
        """Returns where to record: a file named after it in ``recordings``, the URL of ``push``, both or neither."""
        file = [recordings / f"{session_id}.mp4"] if self.record and recordings is not None else []
        return [*file, *([self.push] if self.push is not None else [])]

    def controls(self, preset_steps: int) -> StreamControls:
        """Returns what the session begins with; ``preset_steps``: where it asks for no number of steps."""
        return StreamControls(
            steps=self.steps or preset_steps,
            seed=self.seed,
            mouth_opening=self.mouth_opening,
            on_silence=self.on_silence,
            face=self.face,
        )

    def for_stream(self, controls: StreamControls, generation: int) -> StreamOptions:
        """Returns the part that the models see; ``controls`` and ``generation``: those to begin with."""
        return StreamOptions(
            seed=controls.seed,
            steps=controls.steps,
            profile=self.profile,
            mouth_opening=controls.mouth_opening,
            still=self.source == "portrait",
            alive=self.source == "portrait",
            live=True,
            face=controls.face,
            on_silence=controls.on_silence,
            generation=generation,
            own_speech=self.own_speech,
        )
