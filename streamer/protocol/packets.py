"""Reads and writes binary messages of ``mytalk.v1``: a 16-byte header and a payload. Sans-IO."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from streamer.errors import PacketError

HEADER = struct.Struct("<BBHIQ")
"""kind, flags, reserved (0), generation, pts: 16 bytes, little endian."""

MOST_PTS = 2**53 - 1
"""As far as a JavaScript number counts without a gap: 17 800 years at 16 kHz."""


class Kind(IntEnum):
    """Names what a packet carries: below 16 to the server, from 16 on to the client."""

    SPEECH_PCM16 = 1
    SPEECH_OPUS = 2
    AUDIO_PCM16 = 16
    VIDEO_H264 = 17
    VIDEO_JPEG = 18
    FMP4 = 19
    VIDEO_PNG = 20
    VIDEO_WEBP = 21


SPEECH_KINDS = frozenset((Kind.SPEECH_PCM16, Kind.SPEECH_OPUS))


class Flags(IntFlag):
    """Marks a packet. To the client, KEYFRAME: decoding can begin here. INIT: a decoder of fMP4 needs this first.

    To the server, TIMED: ``pts`` is the media time of the picture that the speech belongs to.
    """

    NONE = 0
    KEYFRAME = 1
    INIT = 2
    TIMED = 4


@dataclass(frozen=True, slots=True)
class Packet:
    """Holds one binary message.

    ``pts``: to the server, samples at the speech's own rate since its generation or its format began, but media time
    where it is TIMED; to the client, media time (samples at 16 kHz).
    """

    kind: Kind
    generation: int
    pts: int
    payload: bytes
    flags: Flags = Flags.NONE

    def to_bytes(self) -> bytes:
        """Returns header and payload."""
        return HEADER.pack(self.kind, self.flags, 0, self.generation, self.pts) + self.payload

    @classmethod
    def from_bytes(cls, data: bytes) -> Packet:
        """Reads header and payload. Raises ``PacketError``."""
        if len(data) <= HEADER.size:
            raise PacketError(f"{len(data)} bytes (need a header of {HEADER.size} and a payload)")
        kind, flags, reserved, generation, pts = HEADER.unpack_from(data)
        if kind not in Kind._value2member_map_:
            raise PacketError(f"kind {kind} is unknown (known: {', '.join(f'{one:d}' for one in Kind)})")
        known = int(Flags.TIMED if kind in SPEECH_KINDS else Flags.KEYFRAME | Flags.INIT)
        if flags & ~known or reserved:
            raise PacketError(f"flags {flags}, reserved {reserved} (need 0; of flags, this kind knows {known})")
        if pts > MOST_PTS:
            raise PacketError(f"pts is {pts} (need at most 2^53 - 1)")
        return cls(Kind(kind), generation, pts, bytes(data[HEADER.size :]), Flags(flags))
