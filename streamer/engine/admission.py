"""Averages how busy the engine is, and says whether one more session would fit."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp

from streamer.clock import SECOND_NS

MEMORY = 2 * SECOND_NS
"""Time constant of the average: a session that has just begun counts after a few seconds."""

MOST = 1.0
"""Share of the time of the threads of one kind above which they would fall behind."""


class Load:
    """Share of the time in which one thread works, averaged over the last seconds.

    >>> load = Load(now=0)
    >>> for start in range(0, 60_000_000_000, 40_000_000):
    ...     load.worked(start, start + 10_000_000)
    >>> round(load.at(60_000_000_000), 2)
    0.25
    """

    def __init__(self, now: int) -> None:
        self._state = (now, 0.0)  # until when it is averaged, and the share

    def worked(self, began: int, ended: int) -> None:
        """The thread worked from ``began`` to ``ended``; it rested before, since the last call."""
        if ended > began:
            kept = exp((began - ended) / MEMORY)
            self._state = (ended, 1 - (1 - self.at(began)) * kept)

    def at(self, now: int) -> float:
        """The share, 0..1, if the thread has rested until ``now``."""
        until, share = self._state
        return share * exp(-max(0, now - until) / MEMORY)


def refusal(loads: Mapping[str, float], sessions: int, costs: Mapping[str, float] | None = None) -> str | None:
    """Says why another session has no place beside the ``sessions`` that make these loads; None: it has.

    ``loads``: the share of their time that all threads of a kind work. ``costs``: by kind, what the session costs
    against the average of the others, 1 where it is not given. The kind with the least to spare decides.

    >>> refusal({"engine": 0.4, "tracker": 0.2}, 1) is None, refusal({"engine": 0.4, "tracker": 0.6}, 1)
    (True, 'the tracker threads work 60 % of the time for 1 session: another one would not fit')
    """
    if not sessions:
        return None
    costs = costs or {}
    wanted = {kind: load * (1 + costs.get(kind, 1.0) / sessions) for kind, load in loads.items()}
    kind = max(wanted, key=lambda one: wanted[one])
    if wanted[kind] <= MOST:
        return None
    load = loads[kind]
    noun = "session" if sessions == 1 else "sessions"
    return f"the {kind} threads work {round(100 * load)} % of the time for {sessions} {noun}: another one would not fit"
