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

FEW_VIEWERS, MANY_ENDED = 50, 20
"""With more viewers, garbage is collected once so many sessions have ended. Walking 600 objects of each takes 6 ms for
50 viewers and 36 ms for 200, and the event loop stands meanwhile."""

RARELY = 100
"""Collections of the middle generation before Python walks all objects by itself; 10 is its default. While 200 viewers
came, it did so four times."""

_LOOKS = 2  # at each end of a session: its place at the engine is free a little later


def settle_collector() -> None:
    """Takes what has been loaded from the collector's work: walking all of it every minute or so would take 100 ms. Has
    it walk what lives long ``RARELY``."""
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, RARELY)


async def give_memory_back(sessions: SessionRegistry, blocking: Pool, clock: Clock) -> None:
    """Gives memory back after sessions have ended or viewers have gone, until it is cancelled."""
    known = collected = before = due = 0
    while True:
        await clock.sleep_until(clock.now() + PAUSE)
        ended, viewers = sessions.ended.total(), sum(len(one.connections.viewers) for one in sessions.all())
        if ended != known or viewers < before:
            due = _LOOKS
        known, before = ended, viewers
        if due:
            due -= 1
            if viewers <= FEW_VIEWERS or ended - collected >= MANY_ENDED:
                gc.collect()
                collected = ended
            await blocking.run(return_free_pages)
