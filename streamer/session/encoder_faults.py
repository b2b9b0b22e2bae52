"""Decides what becomes of a session whose frames cannot be encoded. Sans-IO."""

from __future__ import annotations

from streamer.protocol.events import Events
from streamer.webrtc.encoder_faults import EncoderFaults

MOST_FAULTS = 50
"""Frames in a row that cannot be encoded, after which a session ends: its viewers see or hear nothing."""


class EncoderFaultWatch:
    """Watches the encoders of one session's broadcast. Looked at about twice a second."""

    def __init__(self, events: Events, faults: EncoderFaults) -> None:
        self._events = events
        self._faults = faults
        self._reported = 0

    def look(self) -> bool:
        """Adds an event for new faults; true where an encoder fails for good."""
        count = self._faults.count
        if count > self._reported:
            self._events.add("error", code="encoder", message="frames could not be encoded", count=count)
            self._reported = count
        return self._faults.in_a_row >= MOST_FAULTS
