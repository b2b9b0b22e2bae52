"""Defines what a watermark says: its version, and which film or session it belongs to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

VERSION = 1
ID_BITS = 40
_KINDS: tuple[Literal["film", "session"], ...] = ("film", "session")
VALID_SHARE = len(_KINDS) / 2**8
"""Share of all bit strings that are a payload."""


@dataclass(frozen=True, slots=True)
class Payload:
    """Names a film or a session by 40 bits of a hash."""

    kind: Literal["film", "session"]
    id: int
    version: int = VERSION

    @classmethod
    def of(cls, kind: Literal["film", "session"], name: str) -> Payload:
        """Names a film or a session by the first 40 bits of the SHA-256 of ``name``."""
        return cls(kind, int.from_bytes(hashlib.sha256(name.encode()).digest()[: ID_BITS // 8], "big"))

    @classmethod
    def from_bits(cls, bits: int) -> Payload | None:
        """Reads 48 bits; None where they are of a kind that this version does not know."""
        version, kind = bits >> (ID_BITS + 4), (bits >> ID_BITS) & 15
        if version != VERSION or kind >= len(_KINDS):
            return None
        return cls(_KINDS[kind], bits & ((1 << ID_BITS) - 1), version)

    def to_bits(self) -> int:
        """Returns the 48 bits: version (4), kind (4), id (40)."""
        return (self.version << (ID_BITS + 4)) | (_KINDS.index(self.kind) << ID_BITS) | self.id

    def __str__(self) -> str:
        return f"{self.kind} {self.id:010x}"
