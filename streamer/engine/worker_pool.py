"""Shares the slots between threads of one kind, which wait while there is no work."""

from __future__ import annotations

import threading
from collections.abc import Callable

from streamer.engine.round_robin import RoundRobin
from streamer.engine.slot import EngineSlot


class WorkerPool:
    """Hands slots to the threads of one kind. ``lock`` guards ``slots``, and
    whatever ``on_duty`` looks at, which says whether the threads go on.

    Methods say where their caller holds the lock already.
    """

    def __init__(
        self, lock: threading.Lock, has_work: Callable[[EngineSlot], bool], on_duty: Callable[[], bool]
    ) -> None:
        self.slots = RoundRobin[EngineSlot](has_work)
        self._lock = lock
        self._rest = threading.Condition(lock)
        self._on_duty = on_duty

    # --- its threads

    def take(self) -> EngineSlot | None:
        """Gives the slot that the calling thread works on next, once there is one; None when it is to end."""
        with self._lock:
            while self._on_duty():
                if (slot := self.slots.take(_me())) is not None:
                    return slot
                self._rest.wait()
        return None

    def take_beside(self, wanted: Callable[[EngineSlot], bool]) -> EngineSlot | None:
        """Gives a wanted slot at once, where there is one that no other thread works on."""
        with self._lock:
            return self.slots.take_beside(_me(), wanted)

    def give_back(self, slot: EngineSlot) -> None:
        """Takes a slot back: others may have passed it over meanwhile."""
        with self._lock:
            if self.slots.give_back(slot):
                self._rest.notify()

    def leave(self) -> None:
        """Takes back the slots of the calling thread, which ends."""
        with self._lock:
            self.slots.leave(_me())

    # --- any thread, with the lock held

    def look(self) -> None:
        """Wakes one resting thread where a slot waits for one. A thread that is woken for nothing waits for the
        interpreter twice, and keeps the others from it."""
        if self.slots.waits:
            self._rest.notify()

    def look_all(self) -> None:
        """Wakes all resting threads: they may have to end."""
        self._rest.notify_all()


def _me() -> str:
    return threading.current_thread().name
