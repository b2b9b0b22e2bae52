"""Every message of ``mytalk.v1`` as a type. PROTOCOL.md is the page for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from streamer.protocol.typed_json import Bounds

MESSAGE_BYTES = 1 << 20
"""Size of the largest message, either way. Beyond: close code 1009."""

U32 = Annotated[int, Bounds(0, 2**32 - 1)]
U53 = Annotated[int, Bounds(0, 2**53 - 1)]
"""As far as a JavaScript number counts without a gap."""

Name = Annotated[str, Bounds(1, 64)]
Text = Annotated[str, Bounds(0, 4096)]
Scalar = str | int | float | bool | None


# --- parts of messages


@dataclass(frozen=True, slots=True)
class SpeechFormat:
    """How speech comes in. PCM: 16-bit little-endian, interleaved. Opus: one packet (RFC 6716) a message, 48 kHz."""

    encoding: Literal["pcm16", "opus"]
    rate: Literal[8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000]
    channels: Literal[1, 2] = 1


@dataclass(frozen=True, slots=True)
class Output:
    """What is sent back. ``audio``: 48 kHz stereo. ``video``: ``fmp4`` carries picture and sound together.

    ``form``: ``json`` sends media as ``media`` messages with base64, for clients that cannot read binary.
    """

    audio: Literal["none", "pcm16"] = "none"
    video: Literal["none", "h264", "jpeg", "fmp4"] = "none"
    form: Literal["binary", "json"] = "binary"


@dataclass(frozen=True, slots=True)
class Limits:
    """``pause_ms`` of speech waiting: the server stops reading. ``buffer_ms``: it refuses what would go beyond."""

    message_bytes: int = MESSAGE_BYTES
    pause_ms: int = 30_000
    buffer_ms: int = 60_000
    resume_ms: int = 10_000


# --- client to server


@dataclass(frozen=True, slots=True)
class SessionUpdate:
    """Changes what it names and leaves the rest. Answered by ``session.updated`` or ``error``."""

    speech: SpeechFormat | None = None
    output: Output | None = None
    controls: Mapping[str, Scalar] | None = None
    event_id: Name | None = None


@dataclass(frozen=True, slots=True)
class SpeechAppend:
    """Speech as base64: the same as a binary message. ``generation`` and ``pts`` left out: the next ones.

    ``at``: the media time of the picture that it belongs to, as TIMED has it in a packet; then without ``pts``.
    """

    audio: bytes
    generation: U32 | None = None
    pts: U53 | None = None
    at: U53 | None = None
    event_id: Name | None = None


@dataclass(frozen=True, slots=True)
class SpeechCommit:
    """The utterance ends here. Answered by ``speech.committed`` and, when it was heard, ``playback.finished``."""

    event_id: Name | None = None


@dataclass(frozen=True, slots=True)
class SpeechClear:
    """Barge-in: nothing said so far is heard or seen any more. Answered by ``playback.finished``."""

    event_id: Name | None = None


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """Ends the session and frees everything of it."""

    event_id: Name | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """Answered by ``pong`` with the same ``data``. Not counted."""

    data: Text | None = None


@dataclass(frozen=True, slots=True)
class ClientAck:
    """``received`` messages of the server have been taken in. Not counted."""

    received: U53


# --- server to client


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """The first message of a new stream."""

    session_id: str
    generation: U32
    output: Output
    controls: Mapping[str, Scalar]
    limits: Limits
    disclosure: str


@dataclass(frozen=True, slots=True)
class SessionResumed:
    """The first message of a resumed stream: ``received`` messages of the client were taken in; send the others."""

    session_id: str
    received: U53
    generation: U32


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    """What holds now: what the client changed, or what the server gave up (``rung``) and took back."""

    speech: SpeechFormat | None = None
    output: Output | None = None
    controls: Mapping[str, Scalar] | None = None
    rung: str | None = None
    pictures: str | None = None
    at_ms: U53 | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class SpeechCommitted:
    """``utterance`` counts from 1; ``length`` is its whole length, in samples at 16 kHz."""

    utterance: U53
    length: U53
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class SpeechDropped:
    """Speech of a generation that was over when it came: ``samples`` (of its own rate) were not taken."""

    samples: U53
    generation: U32
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class SpeechLate:
    """Speech for the picture of media time ``pts`` came when that had left: so much of its beginning was cut."""

    dropped_ms: U53
    pts: U53 | None = None
    at_ms: U53 | None = None


@dataclass(frozen=True, slots=True)
class FaceLost:
    """For two seconds no picture has shown a face to work on: they leave untouched. ``none``: not found, or covered."""

    reason: Literal["none", "small", "turned"]
    at_ms: U53 | None = None


@dataclass(frozen=True, slots=True)
class FaceFound:
    """It is back, after so long."""

    lost_ms: U53
    at_ms: U53 | None = None


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    """The first sample of an utterance leaves now; ``pts`` is its media time."""

    utterance: U53
    pts: U53
    generation: U32
    at_ms: U53 | None = None


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    """``position`` samples (16 kHz) of the utterance were heard; ``interrupted``: by a clear. Then ``generation``
    is the new one, and ``utterance`` is left out where nothing was being said."""

    position: U53
    interrupted: bool
    generation: U32
    utterance: U53 | None = None
    at_ms: U53 | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class OutputDropped:
    """So many pictures were left out because the connection is too slow. Sound never is."""

    pictures: U53


@dataclass(frozen=True, slots=True)
class Media:
    """A binary message of the server, as JSON."""

    kind: Literal["audio", "h264", "jpeg", "fmp4"]
    generation: U32
    pts: U53
    data: bytes
    keyframe: bool = False
    init: bool = False


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The last message: why it is over."""

    reason: str


@dataclass(frozen=True, slots=True)
class Error:
    """Something was not done. ``fatal``: the connection closes next. ``event_id``: of the message that caused it."""

    code: str
    message: str
    fatal: bool = False
    count: U53 | None = None
    at_ms: U53 | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class ServerAck:
    """``received`` messages of the client have been taken in; ``buffered_ms`` of speech wait. Not counted."""

    received: U53
    buffered_ms: U53


@dataclass(frozen=True, slots=True)
class Pong:
    """Not counted."""

    data: str | None = None


CLIENT: dict[str, type] = {
    "session.update": SessionUpdate,
    "session.end": SessionEnd,
    "speech.append": SpeechAppend,
    "speech.commit": SpeechCommit,
    "speech.clear": SpeechClear,
    "ping": Ping,
    "ack": ClientAck,
}
SERVER: dict[str, type] = {
    "session.created": SessionCreated,
    "session.resumed": SessionResumed,
    "session.updated": SessionUpdated,
    "session.ended": SessionEnded,
    "speech.committed": SpeechCommitted,
    "speech.dropped": SpeechDropped,
    "speech.late": SpeechLate,
    "face.lost": FaceLost,
    "face.found": FaceFound,
    "playback.started": PlaybackStarted,
    "playback.finished": PlaybackFinished,
    "output.dropped": OutputDropped,
    "media": Media,
    "error": Error,
    "ack": ServerAck,
    "pong": Pong,
}
NAMES = {kind: name for table in (CLIENT, SERVER) for name, kind in table.items()}

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
UNCOUNTED = (Ping, Pong, ClientAck, ServerAck, SessionCreated, SessionResumed)
"""Messages that resuming does not repeat, and that neither side counts."""
