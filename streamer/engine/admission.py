"""Averages how busy the engine is, and says whether one more session would fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import NamedTuple

from streamer.clock import SECOND_NS

MEMORY = 2 * SECOND_NS
"""Time constant of the average: a session that has just begun counts after a few seconds."""

MEASURED = SECOND_NS
"""Age from which a stream's load is known: its average then spans the windows and pictures of a second."""

MOST = 0.9
"""Share of the time of the threads of one kind, or of the cores, above which work would wait too long for them."""

LEAST_CORES = 0.5
"""Share of the cores that this process gets however much other programs ask for: it has more threads than most."""

MOST_BESIDE = 4.0
"""Most that sessions are taken to cost the process, over what they cost the engine's threads: what goes beyond is other
work, which another session does not add to."""


class Load:
    """Share of the time in which one thread works, averaged over the last seconds.

    >>> load = Load(now=0)
    >>> for start in range(0, 60_000_000_000, 40_000_000):
    ...     load.worked(start, start + 20_000_000, spent=10_000_000)
    >>> round(load.at(60_000_000_000), 2)
    0.25
    """

    def __init__(self, now: int) -> None:
        self._state = (now, 0.0)  # until when it is averaged, and the share

    def worked(self, began: int, ended: int, spent: int) -> None:
        """The thread worked for ``spent`` between ``began`` and ``ended``, and waited for the rest of it; it rested
        before, since the last call."""
        if ended > began:
            share, kept = min(1.0, spent / (ended - began)), exp((began - ended) / MEMORY)
            self._state = (ended, share - (share - self.at(began)) * kept)

    def at(self, now: int) -> float:
        """The share, 0..1, if the thread has rested until ``now``."""
        until, share = self._state
        return share * exp(-max(0, now - until) / MEMORY)


class StreamLoad:
    """Averages the shares of their time that threads work for one session's stream. It ends with its stream, so a
    session that is over takes no room.

    Its threads count, one of each kind at a time; any may read meanwhile.
    """

    def __init__(self, now: int) -> None:
        self._born = now
        self._loads: dict[str, Load] = {}

    def worked(self, kind: str, began: int, ended: int, spent: int) -> None:
        """Takes a job of a thread of that kind, as `Load.worked` does."""
        if kind not in self._loads:
            self._loads[kind] = Load(self._born)
        self._loads[kind].worked(began, ended, spent)

    def at(self, now: int) -> dict[str, float] | None:
        """Returns the share of one thread's time by kind; None for a stream too young to tell."""
        age = now - self._born
        if age < MEASURED:
            return None
        seen = 1 - exp(-age / MEMORY)  # of what an average over all time would hold
        return {kind: min(1.0, load.at(now) / seen) for kind, load in list(self._loads.items())}


class Shared(NamedTuple):
    """Says what all sessions share beside the engine's threads, in cores."""

    engine: float  # taken by all the engine's threads
    process: float  # taken by this whole process
    loop: float  # taken by its event loop, which is one thread
    others: float  # taken by other programs
    cores: int  # that this process may use


def refusal(
    streams: Sequence[Mapping[str, float] | None],
    threads: Mapping[str, int],
    costs: Mapping[str, float] | None = None,
    shared: Shared | None = None,
) -> str | None:
    """Says why another session has no place beside those whose ``streams`` the engine has; None: it has.

    ``streams``: what :meth:`StreamLoad.at` gives for each; None counts as the average of the others. ``threads``: how
    many there are of each kind. ``costs``: by kind, what the session costs against the average of the others, 1 where
    it is not given. What is ``shared`` grows as the work of the engine's threads does. The kind with the least to spare
    decides.

    >>> refusal([{"engine": 0.4, "tracker": 0.2}], {"engine": 1, "tracker": 1}) is None
    True
    >>> refusal([{"engine": 0.4, "tracker": 0.6}], {"engine": 1, "tracker": 1})
    'the tracker threads work 60 % of the time for 1 session: another one would not fit'
    """
    known = [stream for stream in streams if stream is not None]
    if not known:
        return None
    mean = {kind: sum(one.get(kind, 0.0) for one in known) / len(known) for kind in threads}
    more = {kind: share * (len(streams) + (costs or {}).get(kind, 1.0)) for kind, share in mean.items()}
    taken, wanted = sum(mean.values()) * len(streams), sum(more.values())
    shares = {
        f"the {kind} threads work": (mean[kind] * len(streams) / count, more[kind] / count)
        for kind, count in threads.items()
    }
    if shared is not None:
        shares |= {what: (share * taken, share * wanted) for what, share in _shares(shared).items()}
    what = max(shares, key=lambda one: shares[one][1])
    now, then = shares[what]
    if then <= MOST:
        return None
    noun = "session" if len(streams) == 1 else "sessions"
    return f"{what} {round(100 * now)} % of the time for {len(streams)} {noun}: another one would not fit"


def _shares(shared: Shared) -> dict[str, float]:
    """Returns the share of the time of what is shared that one core's work of the engine's threads brings with it."""
    if shared.engine <= 0:
        return {}
    room = max(shared.cores - shared.others, LEAST_CORES * shared.cores)
    return {
        "the event loop works": min(shared.loop / shared.engine, MOST_BESIDE),
        f"the {room:.1f} cores that other programs leave work": min(shared.process / shared.engine, MOST_BESIDE) / room,
    }
