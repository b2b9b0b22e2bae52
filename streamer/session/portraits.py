"""Reads a portrait that a client sends, checked before it is decoded, and the consent of the person on it."""

from __future__ import annotations

import struct
from datetime import datetime
from typing import Annotated

import cv2
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from mytalk.errors import NoFaceError, UnreadableError
from mytalk.face.tracker import FaceTracker
from mytalk.media.face_source import StillSource
from mytalk.picture import Picture
from streamer.errors import ForbiddenError, RequestError
from streamer.validation import checked

MAX_BYTES = 8 << 20
"""Size of an uploaded picture."""

MAX_SIDE = 8192
"""Pixels of its longer side, as its header says: a larger one is not decoded."""

LIVE_SIDE = 1024
"""Pixels of the longer side of what is animated; a larger picture is made smaller."""

_LONGEST = 200  # characters of each line of a consent


Line = Annotated[str, Meta(pattern=r"\S", max_length=_LONGEST, description=f"a text of at most {_LONGEST} characters")]


class Consent(Struct, frozen=True, forbid_unknown_fields=True):
    """The consent of the person shown: who agreed, when (ISO 8601), and to what. Kept with the session, shown to its
    owner, never logged."""

    who: Line
    when: Line
    purpose: Line

    @classmethod
    def from_json(cls, body: object) -> Consent:
        """Raises ``RequestError`` that names what is missing or wrong."""
        consent = checked(body, cls, "consent")
        try:
            datetime.fromisoformat(consent.when)
        except ValueError as error:
            raise RequestError("consent: when needs to be a date such as 2026-11-25 (ISO 8601)") from error
        return consent

    def to_json(self) -> dict[str, str]:
        """As it was given."""
        return {"who": self.who, "when": self.when, "purpose": self.purpose}


def check_consent(consent: Consent | None, *, required: bool) -> None:
    """Raises ``ForbiddenError`` where a server wants one and there is none."""
    if required and consent is None:
        raise ForbiddenError("this server takes portraits with the person's consent only (need who, when and purpose)")


def read_portrait(data: bytes) -> StillSource:
    """PNG, JPEG or WebP to a face that can be animated. Takes about 200 ms: for a thread.

    Raises ``UnreadableError`` (no such picture, or too large a one) and ``NoFaceError``.
    """
    width, height = size_of(data)
    if not min(width, height) >= 1 or max(width, height) > MAX_SIDE:
        raise UnreadableError(f"portrait: {width} x {height} pixels (need at most {MAX_SIDE} a side)")
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise UnreadableError("portrait: the picture is damaged (need a whole PNG, JPEG or WebP)")
    picture = Picture.from_rgb(_shrunk(np.asarray(bgr[:, :, ::-1], np.uint8)))
    tracker = FaceTracker()
    try:
        face = tracker(picture)
    finally:
        tracker.close()
    if face is None:
        raise NoFaceError("portrait: no face found (need one seen from the front, at least 48 pixels wide)")
    return StillSource(picture)


def size_of(data: bytes) -> tuple[int, int]:
    """Width and height from the header alone. Raises ``UnreadableError``: no PNG, JPEG or WebP."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            width, height = struct.unpack_from(">II", data, 16)
            return width, height
        if data.startswith(b"\xff\xd8"):
            return _jpeg_size(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp_size(data)
    except (struct.error, IndexError) as error:
        raise UnreadableError("portrait: the picture ends in its header (need a whole one)") from error
    raise UnreadableError("portrait: no picture that is known here (need PNG, JPEG or WebP)")


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """ITU-T T.81, B.2.2: of the frame header."""
    at = 2
    while True:
        marker, length = struct.unpack_from(">HH", data, at)
        if marker >> 8 != 0xFF or length < 2:
            raise UnreadableError("portrait: a damaged JPEG (need a whole one)")
        if 0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC):
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + length


def _webp_size(data: bytes) -> tuple[int, int]:
    """RFC 9649, 2.5 to 2.7."""
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _shrunk(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    share = LIVE_SIDE / max(height, width)
    if share >= 1:
        return rgb
    size = (max(2, round(width * share)), max(2, round(height * share)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
