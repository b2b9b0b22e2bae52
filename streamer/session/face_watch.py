"""Says when a session's pictures show no face to work on, and when they do again. Sans-IO."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamer.clock import MILLISECOND_NS, SECOND_NS
from streamer.protocol.events import Events

if TYPE_CHECKING:
    from mytalk.lipsync_stream import FaceStatus

LOST_WAIT = 2 * SECOND_NS
"""A face is said to be lost after so long without one: a hand that passes is not worth a word."""

FOUND_WAIT = SECOND_NS // 2
"""And to be back after so long with one."""


class FaceWatch:
    """Reports one session's face as lost and found. ``look`` takes, many times a second, how the face
    stands in the newest picture; ``unknown`` changes nothing.

    >>> from streamer.clock import FakeClock
    >>> watch = FaceWatch(Events(FakeClock()))
    >>> for now in (0, LOST_WAIT):
    ...     watch.look("small", now)
    >>> watch.lost
    True
    """

    def __init__(self, events: Events) -> None:
        self.lost = False  # and reported
        self._events = events
        self._seen = True
        self._since: int | None = None  # it stands as it does
        self._lost_since = 0

    def look(self, sight: FaceStatus, now: int) -> None:
        """Takes the face's status, and reports a change that has lasted."""
        if sight == "unknown":
            return
        seen = sight == "seen"
        if self._since is None or seen != self._seen:
            self._seen, self._since = seen, now
        if not self.lost and not seen and now - self._since >= LOST_WAIT:
            self.lost, self._lost_since = True, self._since
            self._events.add("face.lost", reason=sight)
        elif self.lost and seen and now - self._since >= FOUND_WAIT:
            self.lost = False
            self._events.add("face.found", lost_ms=(self._since - self._lost_since) // MILLISECOND_NS)
