"""Declares every message of ``mytalk.v1`` as a type. PROTOCOL.md is the page for people.

A message is a struct whose tag is its ``type``. What clients send is read strictly: an unknown field was meant to do
something. What servers send is read with unknown fields left out, so that an older client understands a newer server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct

MESSAGE_BYTES = 1 << 20
"""Size of the largest message, either way. Beyond: close code 1009."""

U32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
U53 = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""As far as a JavaScript number counts without a gap."""

Name = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=4096)]
Payload = Annotated[bytes, Meta(min_length=1)]
Scalar = str | int | float | bool | None
Controls = Annotated[Mapping[str, Scalar], Meta(max_length=64)]


class Message(Struct, frozen=True):
    """One message, of either side."""

    def to_json(self) -> dict[str, Any]:
        """Returns ``type`` and the fields; those that are None are left out, bytes are base64."""
        return {name: value for name, value in msgspec.to_builtins(self).items() if value is not None}


# --- parts of messages


class SpeechFormat(Struct, frozen=True):
    """How speech comes in. PCM: 16-bit little-endian, interleaved. Opus: one packet (RFC 6716) a message, 48 kHz."""

    encoding: Literal["pcm16", "opus"]
    rate: Literal[8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000]
    channels: Literal[1, 2] = 1


class Output(Struct, frozen=True):
    """What is sent back. ``audio``: 48 kHz stereo. ``video``: ``fmp4`` carries picture and sound together.

    ``form``: ``json`` sends media as ``media`` messages with base64, for clients that cannot read binary.
    """

    audio: Literal["none", "pcm16"] = "none"
    video: Literal["none", "h264", "jpeg", "fmp4"] = "none"
    form: Literal["binary", "json"] = "binary"


class SpeechChoice(SpeechFormat, frozen=True, forbid_unknown_fields=True):
    """A format as a client names it; ``channels`` may be left out."""


class OutputChoice(Output, frozen=True, forbid_unknown_fields=True):
    """An output as a client names it; what it leaves out is ``none``, or ``binary``."""


class Limits(Struct, frozen=True):
    """``pause_ms`` of speech waiting: the server stops reading. ``buffer_ms``: it refuses what would go beyond."""

    message_bytes: int = MESSAGE_BYTES
    pause_ms: int = 30_000
    buffer_ms: int = 60_000
    resume_ms: int = 10_000


# --- client to server


class SessionUpdate(Message, frozen=True, tag="session.update", forbid_unknown_fields=True):
    """Changes what it names and leaves the rest. Answered by ``session.updated`` or ``error``."""

    speech: SpeechChoice | None = None
    output: OutputChoice | None = None
    controls: Controls | None = None
    event_id: Name | None = None


class SpeechAppend(Message, frozen=True, tag="speech.append", forbid_unknown_fields=True):
    """Speech as base64: the same as a binary message. ``generation`` and ``pts`` left out: the next ones.

    ``at``: the media time of the picture that it belongs to, as TIMED has it in a packet; then without ``pts``.
    """

    audio: Payload
    generation: U32 | None = None
    pts: U53 | None = None
    at: U53 | None = None
    event_id: Name | None = None


class SpeechCommit(Message, frozen=True, tag="speech.commit", forbid_unknown_fields=True):
    """The utterance ends here. Answered by ``speech.committed`` and, when it was heard, ``playback.finished``."""

    event_id: Name | None = None


class SpeechClear(Message, frozen=True, tag="speech.clear", forbid_unknown_fields=True):
    """Barge-in: nothing said so far is heard or seen any more. Answered by ``playback.finished``."""

    event_id: Name | None = None


class SessionEnd(Message, frozen=True, tag="session.end", forbid_unknown_fields=True):
    """Ends the session and frees everything of it."""

    event_id: Name | None = None


class Ping(Message, frozen=True, tag="ping", forbid_unknown_fields=True):
    """Answered by ``pong`` with the same ``data``. Not counted."""

    data: Text | None = None


class ClientAck(Message, frozen=True, tag="ack", forbid_unknown_fields=True):
    """``received`` messages of the server have been taken in. Not counted."""

    received: U53


# --- server to client


class SessionCreated(Message, frozen=True, tag="session.created"):
    """The first message of a new stream."""

    session_id: str
    generation: U32
    output: Output
    controls: Controls
    limits: Limits
    disclosure: str


class SessionResumed(Message, frozen=True, tag="session.resumed"):
    """The first message of a resumed stream: ``received`` messages of the client were taken in; send the others."""

    session_id: str
    received: U53
    generation: U32


class SessionUpdated(Message, frozen=True, tag="session.updated"):
    """What holds now: what the client changed, or what the server gave up (``rung``) and took back."""

    speech: SpeechFormat | None = None
    output: Output | None = None
    controls: Controls | None = None
    rung: str | None = None
    pictures: str | None = None
    at_ms: U53 | None = None
    event_id: str | None = None


class SpeechCommitted(Message, frozen=True, tag="speech.committed"):
    """``utterance`` counts from 1; ``length`` is its whole length, in samples at 16 kHz."""

    utterance: U53
    length: U53
    event_id: str | None = None


class SpeechDropped(Message, frozen=True, tag="speech.dropped"):
    """Speech of a generation that was over when it came: ``samples`` (of its own rate) were not taken."""

    samples: U53
    generation: U32
    event_id: str | None = None


class SpeechLate(Message, frozen=True, tag="speech.late"):
    """Speech for the picture of media time ``pts`` came when that had left: so much of its beginning was cut."""

    dropped_ms: U53
    pts: U53 | None = None
    at_ms: U53 | None = None


class FaceLost(Message, frozen=True, tag="face.lost"):
    """For two seconds no picture has shown a face to work on: they leave untouched. ``none``: not found, or covered."""

    reason: Literal["none", "small", "turned"]
    at_ms: U53 | None = None


class FaceFound(Message, frozen=True, tag="face.found"):
    """It is back, after so long."""

    lost_ms: U53
    at_ms: U53 | None = None


class PlaybackStarted(Message, frozen=True, tag="playback.started"):
    """The first sample of an utterance leaves now; ``pts`` is its media time."""

    utterance: U53
    pts: U53
    generation: U32
    at_ms: U53 | None = None


class PlaybackFinished(Message, frozen=True, tag="playback.finished"):
    """``position`` samples (16 kHz) of the utterance were heard; ``interrupted``: by a clear. Then ``generation``
    is the new one, and ``utterance`` is left out where nothing was being said."""

    position: U53
    interrupted: bool
    generation: U32
    utterance: U53 | None = None
    at_ms: U53 | None = None
    event_id: str | None = None


class OutputDropped(Message, frozen=True, tag="output.dropped"):
    """So many pictures were left out because the connection is too slow. Sound never is."""

    pictures: U53


class Media(Message, frozen=True, tag="media"):
    """A binary message of the server, as JSON."""

    kind: Literal["audio", "h264", "jpeg", "fmp4"]
    generation: U32
    pts: U53
    data: Payload
    keyframe: bool = False
    init: bool = False


class SessionEnded(Message, frozen=True, tag="session.ended"):
    """The last message: why it is over."""

    reason: str


class Error(Message, frozen=True, tag="error"):
    """Something was not done. ``fatal``: the connection closes next. ``event_id``: of the message that caused it."""

    code: str
    message: str
    fatal: bool = False
    count: U53 | None = None
    at_ms: U53 | None = None
    event_id: str | None = None


class ServerAck(Message, frozen=True, tag="ack"):
    """``received`` messages of the client have been taken in; ``buffered_ms`` of speech wait. Not counted."""

    received: U53
    buffered_ms: U53


class Pong(Message, frozen=True, tag="pong"):
    """Not counted."""

    data: str | None = None


ClientMessage = SessionUpdate | SessionEnd | SpeechAppend | SpeechCommit | SpeechClear | Ping | ClientAck
ServerMessage = (
    SessionCreated
    | SessionResumed
    | SessionUpdated
    | SessionEnded
    | SpeechCommitted
    | SpeechDropped
    | SpeechLate
    | FaceLost
    | FaceFound
    | PlaybackStarted
    | PlaybackFinished
    | OutputDropped
    | Media
    | Error
    | ServerAck
    | Pong
)

CLIENT: dict[str, type] = {str(kind.__struct_config__.tag): kind for kind in get_args(ClientMessage)}
SERVER: dict[str, type] = {str(kind.__struct_config__.tag): kind for kind in get_args(ServerMessage)}
"""The types by their tags."""

UNCOUNTED = (Ping, Pong, ClientAck, ServerAck, SessionCreated, SessionResumed)
"""Messages that resuming does not repeat, and that neither side counts."""
