"""Lets aiortc take H264 in profiles and packetization modes that it does not list and that our decoder reads.

aiortc 1.16.0 matches an offer's formats with its own: Baseline and Constrained Baseline in packetization mode 1. Here
others are given to it as Constrained Baseline, and the answer names them as the peer did (RFC 6184, 8.2.2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from streamer.webrtc.payload_types import KEPT

DECODABLE = {"42": "Baseline", "4d": "Main", "64": "High"}
"""First byte of ``profile-level-id`` -> profile (RFC 6184, table 5). Live sessions take 8-bit 4:2:0: these."""

_LISTED = {"42"}  # profiles in aiortc's own table
_DEFAULT = "42000a"  # Baseline, level 1: what no profile-level-id means (RFC 6184, 8.1)
_AS_LISTED = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
_OF_THE_SENDER = "sprop-"  # parameters that describe the peer's own stream: an answer does not repeat them


@dataclass(frozen=True, slots=True)
class H264Format:
    """Holds one format of H264 that an offer names: payload type, and ``fmtp`` parameters as they stand there."""

    payload_type: int
    parameters: str | None

    @property
    def profile(self) -> str:
        """The six digits of ``profile-level-id``, small."""
        return self._parameter("profile-level-id", _DEFAULT).lower()

    @property
    def mode(self) -> str:
        """The packetization mode: 0 where none is named (RFC 6184, 8.1)."""
        return self._parameter("packetization-mode", "0")

    @property
    def is_listed(self) -> bool:
        """Whether aiortc's own table may have it."""
        return self.profile[:2] in _LISTED and self.mode == "1"

    def is_usable(self, receiving: bool) -> bool:
        """Whether it can be received; else, whether it can be sent: our packets are of mode 1."""
        decodable = re.fullmatch("[0-9a-f]{6}", self.profile) is not None and self.profile[:2] in DECODABLE
        return decodable and self.payload_type in KEPT and self.mode in (("0", "1") if receiving else ("1",))

    @property
    def answered(self) -> str | None:
        """The parameters that an answer repeats."""
        named = [one.strip() for one in (self.parameters or "").split(";")]
        return ";".join(one for one in named if one and not one.startswith(_OF_THE_SENDER)) or None

    def _parameter(self, name: str, default: str) -> str:
        found = re.search(rf"(?:^|;)\s*{name}=([^;\s]*)", self.parameters or "", re.IGNORECASE)
        return found[1] if found else default

    def __str__(self) -> str:
        return f"H264 (profile-level-id {self.profile[:6]}, packetization-mode {self.mode[:1]})"


def formats_of(section: str) -> list[H264Format]:
    """Returns the formats of H264 that a media section names, in its order."""
    parameters = {int(one[1]): one[2].strip() for one in re.finditer(r"(?m)^a=fmtp:(\d{1,3}) (.*)$", section)}
    named = re.finditer(r"(?mi)^a=rtpmap:(\d{1,3}) H264/90000", section)
    return [H264Format(int(one[1]), parameters.get(int(one[1]))) for one in named]


def with_listed_formats(section: str, receiving: bool) -> tuple[str, list[H264Format]]:
    """Returns a media section of an offer as aiortc reads it, and the formats that are named otherwise there.

    Where we send, the peer's formats that aiortc lists are enough; the others are taken where it names none of those.
    """
    formats = formats_of(section)
    if not receiving and any(one.is_listed for one in formats):
        return section, []
    renamed = [one for one in formats if one.is_usable(receiving)]
    for one in renamed:
        section = re.sub(rf"(?m)^a=fmtp:{one.payload_type} .*\n", "", section)
        line = rf"\g<0>\na=fmtp:{one.payload_type} {_AS_LISTED}"
        section = re.sub(rf"(?m)^a=rtpmap:{one.payload_type} .*$", line, section)
    return section, renamed


def as_offered(answer: str, renamed: Mapping[int, str | None]) -> str:
    """Returns aiortc's answer with the peer's own parameters; ``renamed``: by payload type, None for none."""
    lines = []
    for line in answer.splitlines():
        found = re.match(r"a=fmtp:(\d+) ", line)
        if found is None or int(found[1]) not in renamed:
            lines.append(line)
        elif (parameters := renamed[int(found[1])]) is not None:
            lines.append(f"a=fmtp:{found[1]} {parameters}")
    return "\r\n".join([*lines, ""])
