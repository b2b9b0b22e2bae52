"""Reads what a client asks of a session, checked once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal, get_type_hints

import msgspec
from msgspec import Meta, Struct

from mytalk.appearance.backdrop import Background
from mytalk.controls import TABLE, Controls
from mytalk.media_time import SAMPLE_RATE
from mytalk.stream_options import StreamControls, StreamOptions
from streamer.errors import RequestError
from streamer.media.video_delay import MOST_DELAY
from streamer.outputs.push_targets import check_url
from streamer.session.control_fields import read_controls, wire_type, wire_value
from streamer.validation import checked

Source = Literal["live", "portrait"]
Speech = Literal["live", "demo", "stream"]


FaceName = Annotated[str, Meta(min_length=1, max_length=255)]
"""Of a file in the server's folder of faces."""


class FaceChoice(Struct, frozen=True, forbid_unknown_fields=True):
    """Names another face for a session: a file of the server's folder of faces, None: its own portrait."""

    portrait: FaceName | None = None


@dataclass(frozen=True, slots=True)
class SessionOptions(Controls):
    """Holds what a client asks of a session: the controls that it begins with, and what does not change.

    ``source``: the peer's camera, or the server's portrait. ``speech``: the peer's microphone, the demo, or what a
    client streams (``stream``).

    ``portrait``: a file of the server's folder of faces, None: its own. ``background``: what is behind the person of a
    portrait; ``image``: one that the client sends with it.
    ``video_delay`` holds the camera's pictures for so many milliseconds: dubbed speech comes that much later.
    ``on_camera_left``: what leaves while a camera that was there sends no picture, see PROTOCOL.md.
    ``own_speech``: the speech is that of the person who is seen, from the same microphone as the pictures: the mouth
    adapts to how they speak.
    ``record``: into the server's folder of recordings. ``push``: to a streaming server, a URL of RTMP or SRT.
    """

    source: Source = "live"
    speech: Speech = "live"
    profile: Literal["low", "balanced", "quality"] = "balanced"
    record: bool = False
    push: str | None = None
    video_delay: Annotated[int, Meta(ge=0, le=MOST_DELAY * 1000 // SAMPLE_RATE)] = 0
    on_camera_left: Literal["hold", "idle", "end"] = "hold"
    own_speech: bool = False
    portrait: FaceName | None = None
    background: Background = "own"

    @classmethod
    def from_json(cls, body: object) -> SessionOptions:
        """Raises ``RequestError`` that names the field, what it was and what it may be."""
        if not isinstance(body, dict):
            raise RequestError("the body is not a JSON object (need one, {} for all defaults)")
        given = msgspec.structs.asdict(checked(body, _JSON))
        options = cls(**given | read_controls(given))
        if options.push is not None:
            check_url(options.push)
        if options.video_delay and options.source != "live":
            raise RequestError("video_delay holds a camera's pictures (need source live, or video_delay 0)")
        if options.source != "portrait" and (options.portrait, options.background) != (None, "own"):
            raise RequestError("portrait and background are of a portrait session (need source portrait)")
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
        name = f"{session_id}.{'webm' if self.background == 'transparent' else 'mp4'}"
        file = [recordings / name] if self.record and recordings is not None else []
        return [*file, *([self.push] if self.push is not None else [])]

    def controls(self, preset_steps: int) -> StreamControls:
        """Returns what the session begins with; ``preset_steps``: where it asks for no number of steps."""
        return StreamControls(**{**self.named(), "steps": self.steps or preset_steps})

    def for_stream(self, controls: StreamControls, generation: int) -> StreamOptions:
        """Returns the part that the models see; ``controls`` and ``generation``: those to begin with."""
        return StreamOptions(
            **controls.named(),
            profile=self.profile,
            still=self.source == "portrait",
            alive=self.source == "portrait",
            live=True,
            generation=generation,
            own_speech=self.own_speech,
        )


def _json_type() -> type[Struct]:
    """Returns the type of the JSON body: its fields are those of `SessionOptions`, the controls as on the wire."""
    kinds = get_type_hints(SessionOptions, include_extras=True)
    controls = {control.name: (wire_type(control), wire_value(control, control.default)) for control in TABLE}
    members = [(one.name, *controls.get(one.name, (kinds[one.name], one.default))) for one in fields(SessionOptions)]
    return msgspec.defstruct("Session", members, frozen=True, forbid_unknown_fields=True)


_JSON = _json_type()
