"""Binary messages of ``mytalk.v1``: a 16-byte header and a payload. Sans-IO."""

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
    """What a packet carries: below 16 to the server, from 16 on to the client."""

    SPEECH_PCM16 = 1
    SPEECH_OPUS = 2
    AUDIO_PCM16 = 16
    VIDEO_H264 = 17
    VIDEO_JPEG = 18
    FMP4 = 19


SPEECH_KINDS = frozenset((Kind.SPEECH_PCM16, Kind.SPEECH_OPUS))


class Flags(IntFlag):
    """To the client, KEYFRAME: can be decoded from here. INIT: what a decoder of fMP4 needs before anything else.

    To the server, TIMED: ``pts`` is the media time of the picture that the speech belongs to.
    """

    NONE = 0
    KEYFRAME = 1
    INIT = 2
    TIMED = 4


@dataclass(frozen=True, slots=True)
class Packet:
    """One binary message.

    ``pts``: to the server, samples at the speech's own rate since its generation or its format began, but media time
    where it is TIMED; to the client, media time (samples at 16 kHz).
    """

    kind: Kind
    generation: int
    pts: int
    payload: bytes
    flags: Flags = Flags.NONE

    def to_bytes(self) -> bytes:
        """Header and payload."""
        return HEADER.pack(self.kind, self.flags, 0, self.generation, self.pts) + self.payload

    @classmethod
    def from_bytes(cls, data: bytes) -> Packet:
        """Raises ``PacketError``."""
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
