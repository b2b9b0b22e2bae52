"""Gives the slots to threads in turn, each to one thread at a time. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

Slot = TypeVar("Slot", bound=Hashable)


class RoundRobin(Generic[Slot]):
    """Holds the slots that threads of one kind work on, each held by one thread at most.

    Not thread-safe: whoever calls holds a lock that is the same for all threads.

    >>> turns = RoundRobin[str](has_work=lambda slot: slot != "idle")
    >>> for slot in ("a", "idle", "b"):
    ...     turns.add(slot)
    >>> [turns.take(thread) for thread in ("one", "other", "third")]
    ['a', 'b', None]
    >>> turns.waits
    False
    >>> turns.give_back("a")
    True
    >>> turns.take("third")
    'a'
    """

    def __init__(self, has_work: Callable[[Slot], bool]) -> None:
        self._has_work = has_work
        self._order: list[Slot] = []  # whose turn was longest ago comes first
        self._holders: dict[Slot, str] = {}

    def __iter__(self) -> Iterator[Slot]:
        return iter(list(self._order))

    def __len__(self) -> int:
        return len(self._order)

    def add(self, slot: Slot) -> None:
        """Adds a slot that no thread holds."""
        self._order.append(slot)

    def remove(self, slot: Slot) -> None:
        """Removes a slot, whichever thread holds it."""
        self._order.remove(slot)
        self._holders.pop(slot, None)

    @property
    def waits(self) -> bool:
        """Says whether there is a slot that has work and no holder."""
        return any(slot not in self._holders and self._has_work(slot) for slot in self._order)

    def take(self, holder: str) -> Slot | None:
        """Gives the slot whose turn it is, of those that have work and no holder."""
        slot = self.take_beside(holder, self._has_work)
        if slot is not None:
            self._order.remove(slot)
            self._order.append(slot)
        return slot

    def take_beside(self, holder: str, wanted: Callable[[Slot], bool]) -> Slot | None:
        """Gives a wanted slot without a holder, out of its turn, which it keeps."""
        slot = next((slot for slot in self._order if slot not in self._holders and wanted(slot)), None)
        if slot is not None:
            self._holders[slot] = holder
        return slot

    def give_back(self, slot: Slot) -> bool:
        """Takes a slot back from its holder; says whether it has work for the next one."""
        self._holders.pop(slot, None)
        return self._has_work(slot)

    def leave(self, holder: str) -> None:
        """Takes back all slots of a thread that ends."""
        self._holders = {slot: other for slot, other in self._holders.items() if other != holder}
