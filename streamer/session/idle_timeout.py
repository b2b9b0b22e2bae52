"""Says when a session without users rests, and when it ends. Sans-IO."""

from __future__ import annotations

from streamer.clock import SECOND_NS

IDLE_WAIT = 120 * SECOND_NS
"""A session without a publisher, or without a viewer where its media is stored, ends after this long. A person pastes a
URL into a streaming program meanwhile, or that program comes back after a failure of its network."""

REST_WAIT = 3 * SECOND_NS
"""Such a session rests after this long: nothing is rendered, and its slot at the engine is free for another. A page
that is loaded again, or a program that is started again, is back before that."""


NO_OFFER = "no offer came"
UNUSED = "it had no publisher or viewer any longer"
CAMERA_LEFT = "its camera left"
CAMERA_AWAY = "its camera did not come back"
"""Reasons for which such a session ends."""


class IdleTimeout:
    """Counts the time since one session was used last.

    >>> timeout = IdleTimeout(now=0)
    >>> timeout.look(10 * SECOND_NS, used=False)
    >>> timeout.resting, timeout.over
    (True, False)
    """

    def __init__(self, now: int, idle_wait: int = IDLE_WAIT) -> None:
        self.idle_wait = idle_wait
        self._used_at = self._now = now

    def look(self, now: int, *, used: bool) -> None:
        """Takes, about twice a second, whether the session is used."""
        self._now = now
        if used:
            self._used_at = now

    @property
    def alone_for(self) -> int:
        """Returns the nanoseconds since it was last used."""
        return self._now - self._used_at

    @property
    def resting(self) -> bool:
        """Says whether it has been unused for too long to be worth a slot."""
        return self.alone_for > REST_WAIT

    @property
    def over(self) -> bool:
        """Says whether it has been unused for too long to be kept."""
        return self.alone_for > self.idle_wait
