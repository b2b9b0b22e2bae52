"""Cuts encoded pictures into RTP payloads with the packetizers that aiortc 1.16.0 keeps in its encoders, and sets the
payload types that it answers with."""

from __future__ import annotations

from collections.abc import Mapping

from aiortc import RTCRtpTransceiver
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import Vp8Encoder


def h264_payloads(data: bytes) -> list[bytes]:
    """Cuts one picture in Annex B into payloads (RFC 6184, packetization mode 1) of 1300 bytes each at most."""
    return H264Encoder._packetize(H264Encoder._split_bitstream(data))


def vp8_payloads(data: bytes, picture_id: int) -> list[bytes]:
    """Cuts one picture into payloads (RFC 7741) of 1300 bytes at most. ``picture_id``: 15 bits, one more each time."""
    return Vp8Encoder._packetize(data, picture_id)


def set_payload_types(transceiver: RTCRtpTransceiver, types: Mapping[int, int]) -> None:
    """Renames the payload types of a transceiver. Call it when the offer is taken and before the answer is made."""
    for codec in transceiver._codecs:
        if codec.payloadType is not None:
            codec.payloadType = types.get(codec.payloadType, codec.payloadType)
        if isinstance(repeated := codec.parameters.get("apt"), int):
            codec.parameters["apt"] = types.get(repeated, repeated)
