"""Gives back the memory of sessions that have ended: what refers to itself in circles, and the free pages of heaps."""

from __future__ import annotations

import gc

from streamer.clock import SECOND_NS, Clock
from streamer.executors import Pool
from streamer.process_limits import return_free_pages
from streamer.session.registry import SessionRegistry

PAUSE = 10 * SECOND_NS
"""Between two looks at whether sessions have ended. A session leaves about 900 objects in circles, which hold 1 MB.
Python looks for such by itself, but only once a quarter as many objects have been made as it had to walk when it looked
last: after loading, that is after 40 sessions. Then it finds them all at once, and their pages lie scattered."""

FEW_VIEWERS = 50
"""With more viewers, garbage is left to Python's own time: walking 600 objects of each takes 6 ms for 50 of them."""

_LOOKS = 2  # at each end of a session: its place at the engine is free a little later


async def give_memory_back(sessions: SessionRegistry, blocking: Pool, clock: Clock) -> None:
    """Gives memory back after sessions have ended, until it is cancelled."""
    known = due = 0
    while True:
        await clock.sleep_until(clock.now() + PAUSE)
        if (ended := sessions.ended.total()) != known:
            known, due = ended, _LOOKS
        if due:
            due -= 1
            if sum(len(session.connections.viewers) for session in sessions.all()) <= FEW_VIEWERS:
                gc.collect()
            await blocking.run(return_free_pages)
