"""Defines what the encoders make and the audience of a broadcast gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Encoded:
    """One picture, or 20 ms of speech. ``data``: as a file wants it (H264: Annex B); ``payloads``: as RTP does."""

    data: bytes
    payloads: Sequence[bytes]
    at: int  # media time
    timestamp: int  # the same in the track's units, 90 000 or 48 000 a second: a picture's keep the source's intervals
    ntp: int  # when the pacer released it (RFC 5905, 64 bits)
    key: bool = True  # can be decoded without what came before
