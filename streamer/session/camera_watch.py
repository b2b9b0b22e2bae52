"""Says when a session's camera leaves, and when it is back. Sans-IO."""

from __future__ import annotations

import logging
from typing import Literal

from streamer.clock import MILLISECOND_NS, SECOND_NS
from streamer.protocol.events import Events

log = logging.getLogger(__name__)

LEFT_WAIT = 2 * SECOND_NS
"""A camera has left after so long without a picture: a network that stalls for a moment is not worth a word."""


CameraStatus = Literal["unknown", "there", "left"]


class CameraWatch:
    """Reports one session's camera as left and back. ``look`` is to be called many times a second.

    >>> from streamer.clock import FakeClock
    >>> watch = CameraWatch(Events(FakeClock()))
    >>> watch.picture(now=0)
    >>> watch.look(now=LEFT_WAIT, connected=True)
    >>> watch.left
    True
    """

    def __init__(self, events: Events) -> None:
        self.left = False  # and reported
        self._events = events
        self._seen_at: int | None = None  # ns: when the newest picture came

    @property
    def status(self) -> CameraStatus:
        """Says how it stands; ``unknown``: there was no picture yet."""
        if self._seen_at is None:
            return "unknown"
        return "left" if self.left else "there"

    def picture(self, now: int) -> None:
        """Takes note of a picture, and reports that the camera is back."""
        before, self._seen_at = self._seen_at, now
        if self.left and before is not None:
            self.left = False
            away = (now - before) // MILLISECOND_NS
            self._events.add("camera.back", away_ms=away)
            log.info("the camera is back", extra={"data": {"away_ms": away}})

    def look(self, now: int, *, connected: bool) -> None:
        """Reports a camera that has left. ``connected``: its publisher's connection lives."""
        if self.left or self._seen_at is None or now - self._seen_at < LEFT_WAIT:
            return
        self.left = True
        reason = "silent" if connected else "gone"
        self._events.add("camera.left", reason=reason)
        log.info("the camera left", extra={"data": {"reason": reason}})

    def skip(self, now: int) -> None:
        """Begins to count anew at ``now``, after the process stood still."""
        if self._seen_at is not None and not self.left:
            self._seen_at = now
