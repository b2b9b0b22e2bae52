"""Reads how long an Opus packet is, without decoding it (RFC 6716, 3.1 and 3.2)."""

from __future__ import annotations

from mytalk_client.errors import FormatError

_SILK, _CELT = (480, 960, 1920, 2880), (120, 240, 480, 960)  # samples of a frame at 48 kHz
_LONGEST = 5760  # samples of a packet: 120 ms


def opus_samples(packet: bytes) -> int:
    """Returns the samples (48 kHz) of one packet: 2.5 to 120 ms. Raises ``FormatError`` for what is no packet."""
    if not packet:
        raise FormatError("an empty Opus packet (need one of RFC 6716)")
    config, code = packet[0] >> 3, packet[0] & 3
    frame = _SILK[config & 3] if config < 12 else _SILK[config & 1] if config < 16 else _CELT[config & 3]
    frames = (1, 2, 2, packet[1] & 63 if len(packet) > 1 else 0)[code]
    if not 0 < frames * frame <= _LONGEST:
        raise FormatError(
            f"an Opus packet of {frames} frames of {frame / 48:g} ms (need at least one, and 120 ms at most)"
        )
    return frames * frame
