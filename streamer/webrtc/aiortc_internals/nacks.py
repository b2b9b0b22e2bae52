"""Bounds the list of missing packets that aiortc 1.16.0 asks a publisher for."""

from __future__ import annotations

from collections.abc import Callable

from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_add, uint16_gt

MOST_MISSING = 128
"""Packets that are asked for again: 0.5 s of a camera of 3 Mbit/s. More: all are given up for a keyframe."""


class BoundedNacks(NackGenerator):
    """Lists missing packets. A jump of the sequence numbers costs no more than one step of it."""

    def __init__(self, ask_for_keyframe: Callable[[], None]) -> None:
        super().__init__()
        self._ask_for_keyframe = ask_for_keyframe

    def add(self, packet: RtpPacket) -> bool:
        """Takes a packet that came; true where packets before it are newly missing."""
        number, newest = packet.sequence_number, self.max_seq
        if newest is not None and uint16_gt(number, newest):
            jump = uint16_add(number, -newest) - 1
            if len(self.missing) + jump > MOST_MISSING:
                self.missing.clear()
                self.max_seq = number
                self._ask_for_keyframe()
                return False
        return super().add(packet)
