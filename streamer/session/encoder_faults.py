"""What becomes of a session whose frames cannot be encoded. Sans-IO."""

from __future__ import annotations

from streamer.protocol.events import Events
from streamer.webrtc.aiortc_internals.encoders import Faults

MOST_FAULTS = 50
"""Frames in a row that cannot be encoded, after which a session ends: its viewer sees or hears nothing."""


class EncoderFaultWatch:
    """One session's, looked at about twice a second: its broadcast's encoders, and those of its call."""

    def __init__(self, events: Events, broadcast: Faults) -> None:
        self._events = events
        self._broadcast = broadcast
        self._told = 0

    def look(self, calls: int, calls_in_a_row: int) -> bool:
        """Tells of new faults; true where it is hopeless."""
        count = calls + self._broadcast.count
        if count > self._told:
            self._events.add("error", code="encoder", message="frames could not be encoded", count=count)
            self._told = count
        return max(calls_in_a_row, self._broadcast.in_a_row) >= MOST_FAULTS
