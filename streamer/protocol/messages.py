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
    """Is a message, of either side."""

    def to_json(self) -> dict[str, Any]:
        """Returns ``type`` and the fields; those that are None are left out, bytes are base64."""
        return {name: value for name, value in msgspec.to_builtins(self).items() if value is not None}


# --- parts of messages


class SpeechFormat(Struct, frozen=True):
    """Describes the speech that a client sends.

    PCM: 16-bit little-endian, interleaved. Opus: one packet (RFC 6716) a message, 48 kHz.
    """

    encoding: Literal["pcm16", "opus"]
    rate: Literal[8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000]
    channels: Literal[1, 2] = 1


class Output(Struct, frozen=True):
    """Describes the media that the server sends.

    ``audio``: 48 kHz stereo. ``video``: ``fmp4`` carries picture and sound in one. ``form``: ``json``
    sends media as ``media`` messages with base64, for clients that cannot read binary. ``png`` and ``webp`` are
    transparent where the session's background is.
    """

    audio: Literal["none", "pcm16"] = "none"
    video: Literal["none", "h264", "jpeg", "fmp4", "png", "webp"] = "none"
    form: Literal["binary", "json"] = "binary"


class SpeechChoice(SpeechFormat, frozen=True, forbid_unknown_fields=True):
    """Describes speech as a client names it; ``channels`` may be left out."""


class OutputChoice(Output, frozen=True, forbid_unknown_fields=True):
    """Describes media as a client asks for it; what it leaves out is ``none``, or ``binary``."""


class Limits(Struct, frozen=True):
    """Limits a stream. ``pause_ms`` of speech waiting: the server stops reading; ``buffer_ms``: it refuses more."""

    message_bytes: int = MESSAGE_BYTES
    pause_ms: int = 30_000
    buffer_ms: int = 60_000
    resume_ms: int = 10_000


# --- client to server


class SessionUpdate(Message, frozen=True, tag="session.update", forbid_unknown_fields=True):
    """Changes the parts that are named and leaves the rest. Answered by ``session.updated`` or ``error``."""

    speech: SpeechChoice | None = None
    output: OutputChoice | None = None
    controls: Controls | None = None
    event_id: Name | None = None


class SpeechAppend(Message, frozen=True, tag="speech.append", forbid_unknown_fields=True):
    """Appends speech as base64, as a binary message does. ``generation`` and ``pts`` left out: the next ones.

    ``at``: the media time of the picture that it belongs to, as TIMED has it in a packet; then without ``pts``.
    """

    audio: Payload
    generation: U32 | None = None
    pts: U53 | None = None
    at: U53 | None = None
    event_id: Name | None = None


class SpeechCommit(Message, frozen=True, tag="speech.commit", forbid_unknown_fields=True):
    """Ends the utterance. Answered by ``speech.committed`` and, when it was played, ``playback.finished``."""

    event_id: Name | None = None


class SpeechClear(Message, frozen=True, tag="speech.clear", forbid_unknown_fields=True):
    """Drops all speech that was not played yet (barge-in). Answered by ``playback.finished``."""

    event_id: Name | None = None


class SessionEnd(Message, frozen=True, tag="session.end", forbid_unknown_fields=True):
    """Ends the session and frees everything of it."""

    event_id: Name | None = None


class Ping(Message, frozen=True, tag="ping", forbid_unknown_fields=True):
    """Asks for a ``pong`` with the same ``data``. Not counted."""

    data: Text | None = None


class ClientAck(Message, frozen=True, tag="ack", forbid_unknown_fields=True):
    """Acknowledges ``received`` messages of the server. Not counted."""

    received: U53


# --- server to client


class SessionCreated(Message, frozen=True, tag="session.created"):
    """Begins a new stream: the first message."""

    session_id: str
    generation: U32
    output: Output
    controls: Controls
    limits: Limits
    disclosure: str


class SessionResumed(Message, frozen=True, tag="session.resumed"):
    """Begins a resumed stream: ``received`` messages of the client were taken in; it sends the others again."""

    session_id: str
    received: U53
    generation: U32


class SessionUpdated(Message, frozen=True, tag="session.updated"):
    """States the values that hold now: changed by the client, or by the server under overload (``rung``).

    ``pts``: media time from which a change of controls fades in, over 120 ms.
    """

    speech: SpeechFormat | None = None
    output: Output | None = None
    controls: Controls | None = None
    pts: U53 | None = None
    rung: str | None = None
    pictures: str | None = None
    at_ms: U53 | None = None
    event_id: str | None = None


class SpeechCommitted(Message, frozen=True, tag="speech.committed"):
    """Confirms a commit. ``utterance`` counts from 1; ``length``: of all of it, in samples at 16 kHz."""

    utterance: U53
    length: U53
    event_id: str | None = None


class SpeechDropped(Message, frozen=True, tag="speech.dropped"):
    """Reports speech of an old generation: ``samples`` (of its own rate) were not taken."""

    samples: U53
    generation: U32
    event_id: str | None = None


class SpeechLate(Message, frozen=True, tag="speech.late"):
    """Reports speech for a picture (media time ``pts``) that had left: ``dropped_ms`` of its beginning were cut."""

    dropped_ms: U53
    pts: U53 | None = None
    at_ms: U53 | None = None


class FaceLost(Message, frozen=True, tag="face.lost"):
    """Reports that for two seconds no picture has shown a usable face: they leave untouched.

    ``none``: not found, or covered; ``small``: fewer pixels than the mouth needs; ``turned``: too far aside.
    """

    reason: Literal["none", "small", "turned"]
    at_ms: U53 | None = None


class FaceFound(Message, frozen=True, tag="face.found"):
    """Reports that the face is back, after ``lost_ms``."""

    lost_ms: U53
    at_ms: U53 | None = None


class FaceChanged(Message, frozen=True, tag="face.changed"):
    """Reports that the face that was brought in last is all that is seen from media time ``pts`` on."""

    pts: U53
    at_ms: U53 | None = None


class CameraLeft(Message, frozen=True, tag="camera.left"):
    """Reports that the camera has sent no picture for two seconds.

    ``silent``: its connection lives, as that of a page in the background; ``gone``: it does not.
    """

    reason: Literal["silent", "gone"]
    at_ms: U53 | None = None


class CameraBack(Message, frozen=True, tag="camera.back"):
    """Reports that the camera sends pictures again, after ``away_ms``."""

    away_ms: U53
    at_ms: U53 | None = None


class PlaybackStarted(Message, frozen=True, tag="playback.started"):
    """Reports that the first sample of an utterance leaves; ``pts`` is its media time."""

    utterance: U53
    pts: U53
    generation: U32
    at_ms: U53 | None = None


class PlaybackFinished(Message, frozen=True, tag="playback.finished"):
    """Reports that ``position`` samples (16 kHz) of the utterance were played; ``interrupted``: by a clear.

    Then ``generation`` is the new one, and ``utterance`` is left out where nothing was playing.
    """

    position: U53
    interrupted: bool
    generation: U32
    utterance: U53 | None = None
    at_ms: U53 | None = None
    event_id: str | None = None


class OutputDropped(Message, frozen=True, tag="output.dropped"):
    """Reports pictures that were left out because the connection is too slow. Sound never is."""

    pictures: U53


class Media(Message, frozen=True, tag="media"):
    """Carries a binary message of the server as JSON."""

    kind: Literal["audio", "h264", "jpeg", "fmp4", "png", "webp"]
    generation: U32
    pts: U53
    data: Payload
    keyframe: bool = False
    init: bool = False


class SessionEnded(Message, frozen=True, tag="session.ended"):
    """Ends the stream: the last message, with the reason."""

    reason: str


class Error(Message, frozen=True, tag="error"):
    """Reports a failure. ``fatal``: the connection closes next. ``event_id``: of the message that caused it."""

    code: str
    message: str
    fatal: bool = False
    count: U53 | None = None
    at_ms: U53 | None = None
    event_id: str | None = None


class Warning(Message, frozen=True, tag="warning"):
    """Reports what the publisher's encoder should do otherwise: ``message`` says what to set. The session goes on.

    ``b_frames``: pictures come out of order; ``keyframe_interval``: those from which decoding can begin are rare.
    """

    code: Literal["b_frames", "keyframe_interval"]
    message: str
    at_ms: U53 | None = None


class ServerAck(Message, frozen=True, tag="ack"):
    """Acknowledges ``received`` messages of the client; ``buffered_ms`` of speech wait. Not counted."""

    received: U53
    buffered_ms: U53


class Pong(Message, frozen=True, tag="pong"):
    """Answers a ``ping``. Not counted."""

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
    | FaceChanged
    | CameraLeft
    | CameraBack
    | PlaybackStarted
    | PlaybackFinished
    | OutputDropped
    | Media
    | Warning
    | Error
    | ServerAck
    | Pong
)

CLIENT: dict[str, type] = {str(kind.__struct_config__.tag): kind for kind in get_args(ClientMessage)}
SERVER: dict[str, type] = {str(kind.__struct_config__.tag): kind for kind in get_args(ServerMessage)}
"""The types by their tags."""

UNCOUNTED = (Ping, Pong, ClientAck, ServerAck, SessionCreated, SessionResumed)
"""Messages that resuming does not repeat, and that neither side counts."""
