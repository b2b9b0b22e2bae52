"""Whether anybody is there for a session, and what becomes of it where nobody is. Sans-IO."""

from __future__ import annotations

from streamer.clock import SECOND_NS

IDLE_WAIT = 120 * SECOND_NS
"""A session that nobody publishes to, or that stores all its media and nobody watches, ends after so long. A person
pastes a URL into a streaming program meanwhile, or that program comes back after a failure of its network."""

REST_WAIT = 3 * SECOND_NS
"""Such a session rests after so long: nothing is rendered for nobody, and its seat at the engine is another's. A page
that is loaded again, or a program that is started again, is back before that."""


class IdleTimeout:
    """One session's.

    >>> attendance = Attendance(now=0)
    >>> attendance.look(10 * SECOND_NS, used=False)
    >>> attendance.resting, attendance.over
    (True, False)
    """

    def __init__(self, now: int, idle_wait: int = IDLE_WAIT) -> None:
        self.idle_wait = idle_wait
        self._used_at = self._now = now

    def look(self, now: int, *, used: bool) -> None:
        """To be told about twice a second whether anybody is there."""
        self._now = now
        if used:
            self._used_at = now

    @property
    def alone_for(self) -> int:
        """Nanoseconds since anybody was there."""
        return self._now - self._used_at

    @property
    def resting(self) -> bool:
        """Whether it has been alone for too long to be worth a seat."""
        return self.alone_for > REST_WAIT

    @property
    def over(self) -> bool:
        """Whether it has been alone for too long to be kept."""
        return self.alone_for > self.idle_wait
