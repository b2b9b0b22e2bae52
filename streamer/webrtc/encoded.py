"""Defines what the encoders make and the audience of a broadcast gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from av.packet import PacketSideData

VIDEO_RATE = 90_000
"""Units a second of a picture's timestamps (RFC 3551)."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Holds a picture or 20 ms of speech. ``data``: as a file holds it (H264: Annex B); ``payloads``: as RTP does."""

    data: bytes
    payloads: Sequence[bytes]
    at: int  # media time
    timestamp: int  # media time in VIDEO_RATE or OUTPUT_RATE: a picture's keep the source's intervals
    ntp: int  # when the pacer released it (RFC 5905, 64 bits)
    key: bool = True  # can be decoded without what came before
    alpha: PacketSideData | None = None  # of a codec that can be transparent: its second picture, for WebM
