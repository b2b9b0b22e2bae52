"""Reads and writes ``mytalk.v1``: types of the server's messages, JSON and 16-byte headers.

Messages of types that are not known here, and fields that are not, are passed over: a newer server may send them.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from mytalk_client.formats import Encoding

SUBPROTOCOL = "mytalk.v1"

HEADER = struct.Struct("<BBHIQ")
"""kind, flags, reserved, generation, pts."""

UNCOUNTED = frozenset(("ping", "pong", "ack", "session.created", "session.resumed"))
"""Types that resuming does not repeat, and that neither side counts."""

SPEECH_PCM16, SPEECH_OPUS = 1, 2
_KEYFRAME, _INIT, _TIMED = 1, 2, 4

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """Begins a new stream: the first message."""

    session_id: str
    generation: int
    output: Mapping[str, str]
    controls: Mapping[str, Scalar]
    limits: Mapping[str, int]
    disclosure: str


@dataclass(frozen=True, slots=True)
class SessionResumed:
    """Reports that the connection had broken and is back; nothing was lost."""

    session_id: str
    received: int
    generation: int


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    """States the values that hold now. ``rung``: given up by a server under overload. ``pts``: media time from which a
    change of controls fades in, over 120 ms.

    ``at_ms``, here and below: the age of the session when it happened.
    """

    speech: Mapping[str, str | int] | None = None
    output: Mapping[str, str] | None = None
    controls: Mapping[str, Scalar] | None = None
    pts: int | None = None
    rung: str | None = None
    pictures: str | None = None
    at_ms: int | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """Ends the session: the last event, with the reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class SpeechCommitted:
    """Confirms a commit. ``utterance`` counts from 1, ``length`` is in samples at 16 kHz."""

    utterance: int
    length: int
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class SpeechDropped:
    """Reports ``samples`` of speech that came after another client's clear and were not taken."""

    samples: int
    generation: int
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class SpeechLate:
    """Reports speech for a picture (media time ``pts``) that had left: ``dropped_ms`` of its beginning were cut."""

    dropped_ms: int
    pts: int | None = None
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class FaceLost:
    """Reports that for two seconds no picture has shown a usable face: they come untouched.

    ``none``: not found, or covered; ``small``: fewer pixels than the mouth needs; ``turned``: too far aside.
    """

    reason: Literal["none", "small", "turned"]
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class FaceFound:
    """Reports that the face is back, after ``lost_ms``."""

    lost_ms: int
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class FaceChanged:
    """Reports that the face that was brought in last is all that is seen from media time ``pts`` on."""

    pts: int
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class PublisherWarning:
    """Reports what the publisher's encoder should do otherwise: ``message`` says what to set. The session goes on."""

    code: Literal["b_frames", "keyframe_interval"]
    message: str
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class CameraLeft:
    """Reports that the camera has sent no picture for two seconds: what comes meanwhile, the session's options say.

    ``silent``: its connection lives, as that of a page in the background; ``gone``: it does not.
    """

    reason: Literal["silent", "gone"]
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class CameraBack:
    """Reports that the camera sends pictures again, after ``away_ms``."""

    away_ms: int
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    """Reports that the first sample of an utterance leaves; ``pts`` is its media time."""

    utterance: int
    pts: int
    generation: int
    at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    """Reports that ``position`` samples (16 kHz) of an utterance were played: all, unless it was ``interrupted``."""

    position: int
    interrupted: bool
    generation: int
    utterance: int | None = None
    at_ms: int | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class OutputDropped:
    """Reports pictures that were left out because this program or its connection is too slow."""

    pictures: int


@dataclass(frozen=True, slots=True)
class Error:
    """Reports a message that was not taken; ``fatal``: and the connection closes."""

    code: str
    message: str
    fatal: bool
    count: int | None = None
    at_ms: int | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class Ack:
    """Acknowledges ``received`` counted messages; ``buffered_ms`` of speech wait."""

    received: int
    buffered_ms: int


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers a ``ping`` with its ``data``."""

    data: str | None = None


@dataclass(frozen=True, slots=True)
class Audio:
    """Holds 20 ms of sound, 16-bit little-endian, 48 kHz stereo; ``pts`` in samples at 16 kHz, as pictures have it."""

    generation: int
    pts: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Video:
    """Holds a picture, or for ``fmp4`` a segment of MP4 (``init``: the one before all others)."""

    encoding: Literal["h264", "jpeg", "fmp4", "png", "webp"]
    generation: int
    pts: int
    data: bytes
    keyframe: bool = False
    init: bool = False


Event = (
    SessionResumed
    | SessionUpdated
    | SessionEnded
    | SpeechCommitted
    | SpeechDropped
    | SpeechLate
    | FaceLost
    | FaceFound
    | FaceChanged
    | PublisherWarning
    | CameraLeft
    | CameraBack
    | PlaybackStarted
    | PlaybackFinished
    | OutputDropped
    | Error
    | Audio
    | Video
)
"""Types that a session yields."""

Message = Event | SessionCreated | Ack | Pong

TYPES: dict[str, type] = {
    "session.created": SessionCreated,
    "session.resumed": SessionResumed,
    "session.updated": SessionUpdated,
    "session.ended": SessionEnded,
    "speech.committed": SpeechCommitted,
    "speech.dropped": SpeechDropped,
    "speech.late": SpeechLate,
    "face.lost": FaceLost,
    "face.found": FaceFound,
    "face.changed": FaceChanged,
    "warning": PublisherWarning,
    "camera.left": CameraLeft,
    "camera.back": CameraBack,
    "playback.started": PlaybackStarted,
    "playback.finished": PlaybackFinished,
    "output.dropped": OutputDropped,
    "error": Error,
    "ack": Ack,
    "pong": Pong,
}
_KINDS = {17: "h264", 18: "jpeg", 19: "fmp4", 20: "png", 21: "webp"}
_AUDIO = 16


def parse(data: str | bytes) -> tuple[Message | None, bool]:
    """Reads a server's message (None: of an unknown type), and whether it counts. Raises ``ValueError``."""
    if isinstance(data, bytes):
        if len(data) <= HEADER.size:
            raise ValueError(f"{len(data)} bytes (need a header of {HEADER.size} and a payload)")
        kind, flags, _, generation, pts = HEADER.unpack_from(data)
        payload, key, init = data[HEADER.size :], flags & _KEYFRAME, flags & _INIT
        return _media(_KINDS.get(kind, kind), generation, pts, payload, key, init), True
    body = json.loads(data)
    if not isinstance(body, dict) or not isinstance(body.get("type"), str):
        raise ValueError("not an object with a type")
    name = body["type"]
    counted = name not in UNCOUNTED
    try:
        if name == "media":
            of = _AUDIO if body["kind"] == "audio" else body["kind"]
            payload = base64.b64decode(body["data"])
            key, init = body.get("keyframe", False), body.get("init", False)
            return _media(of, body["generation"], body["pts"], payload, key, init), counted
        kind = TYPES.get(name)
        if kind is None:
            return None, counted
        message: Message = kind(**{field.name: body[field.name] for field in fields(kind) if field.name in body})
        return message, counted
    except (KeyError, TypeError) as error:
        raise ValueError(f"{name} without {error}") from error


def _media(kind: int | str, generation: int, pts: int, payload: bytes, key: int, init: int) -> Audio | Video | None:
    if kind == _AUDIO:
        return Audio(generation, pts, payload)
    if kind in _KINDS.values():
        return Video(kind, generation, pts, payload, bool(key), bool(init))  # type: ignore[arg-type]
    return None


def text(type_: str, **given: Any) -> str:
    """Writes a message of the client; fields that are None are left out."""
    body = {"type": type_} | {name: value for name, value in given.items() if value is not None}
    return json.dumps(body, separators=(",", ":"), allow_nan=False)


def speech(encoding: Encoding, generation: int, pts: int, payload: bytes, *, timed: bool = False) -> bytes:
    """Writes a binary message of speech. ``timed``: ``pts`` is the media time of the picture that it belongs to."""
    kind = SPEECH_PCM16 if encoding == "pcm16" else SPEECH_OPUS
    return HEADER.pack(kind, _TIMED if timed else 0, 0, generation, pts) + payload
