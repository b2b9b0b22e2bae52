"""Counts what a caller has used: requests a minute, and seconds of sessions within a day. Sans-IO.

Requests are forgotten by a server that starts again; seconds are kept in a file (:mod:`streamer.auth.usage_file`).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping

from streamer.clock import SECOND_NS

MOST_CALLERS = 10_000
"""Callers that are remembered. Full: the one whose last request is oldest is forgotten, and begins with a whole
minute's."""

HOUR = 3600 * SECOND_NS
DAY_HOURS = 24


class RequestBudget:
    """Keeps a token bucket for each caller: a minute's requests may come at once, further ones as time passes.

    >>> budget = RequestBudget()
    >>> [budget.wait("10.0.0.1", a_minute=2, now=0) for _ in range(3)]
    [0, 0, 30]
    >>> budget.wait("10.0.0.1", a_minute=2, now=30 * SECOND_NS)
    0
    """

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[int, float]] = OrderedDict()  # when seen, and requests left then

    def wait(self, caller: str, a_minute: int, now: int) -> int:
        """Counts one request. Returns 0 where it may be served, otherwise the seconds after which it may come again."""
        if not a_minute:
            return 0
        seen, left = self._buckets.pop(caller, (now, float(a_minute)))
        left = min(a_minute, left + (now - seen) * a_minute / (60 * SECOND_NS))
        served = left >= 1
        self._buckets[caller] = (now, left - served)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return 0 if served else max(1, -int(-(1 - left) * 60 // a_minute))


class SecondsUsed:
    """Counts seconds of sessions that have ended within the last day, by key, to the hour.

    ``hours``: what was used before, by key id, as hours and seconds. Moments are of the wall clock: ``hours`` outlives
    the process. Where that clock went back, what comes is counted to the latest hour there is.
    """

    def __init__(self, hours: Mapping[str, Iterable[tuple[int, float]]] | None = None) -> None:
        self._used = {key_id: deque(sorted(past)) for key_id, past in (hours or {}).items()}

    def add(self, key_id: str, seconds: float, now: int) -> None:
        """Adds a session of that key that lasted ``seconds`` and ended ``now`` (ns since 1970)."""
        hours = self._used.setdefault(key_id, deque())
        hour = now // HOUR
        if hours and hours[-1][0] >= hour:
            hours[-1] = (hours[-1][0], hours[-1][1] + seconds)
        else:
            hours.append((hour, seconds))

    def used_by(self, key_id: str, now: int) -> float:
        """Returns the seconds that a key has used."""
        hours = self._used.get(key_id, deque[tuple[int, float]]())
        while hours and hours[0][0] <= now // HOUR - DAY_HOURS:
            hours.popleft()
        return sum(seconds for _, seconds in hours)

    def hours(self, now: int) -> dict[str, list[tuple[int, float]]]:
        """Returns what is not forgotten, by key id: hours, in order, and seconds."""
        return {key_id: list(hours) for key_id, hours in self._used.items() if self.used_by(key_id, now)}
