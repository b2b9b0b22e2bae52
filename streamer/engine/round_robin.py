"""Whose turn it is: threads go round the seats, and no two of them are at one. Sans-IO."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

Seat = TypeVar("Seat", bound=Hashable)


class RoundRobin(Generic[Seat]):
    """The seats that threads of one kind work on, each in the hands of one thread at most, its holder.

    Not thread-safe: whoever calls holds a lock that is the same for all threads.

    >>> turns = Turns[str](has_work=lambda seat: seat != "idle")
    >>> for seat in ("a", "idle", "b"):
    ...     turns.add(seat)
    >>> [turns.take(thread) for thread in ("one", "other", "third")]
    ['a', 'b', None]
    >>> turns.give_back("a")
    True
    >>> turns.take("third")
    'a'
    """

    def __init__(self, has_work: Callable[[Seat], bool]) -> None:
        self._has_work = has_work
        self._order: list[Seat] = []  # whose turn was longest ago comes first
        self._holders: dict[Seat, str] = {}

    def __iter__(self) -> Iterator[Seat]:
        return iter(list(self._order))

    def __len__(self) -> int:
        return len(self._order)

    def add(self, seat: Seat) -> None:
        """One more, in nobody's hands."""
        self._order.append(seat)

    def remove(self, seat: Seat) -> None:
        """One less, whoever holds it."""
        self._order.remove(seat)
        self._holders.pop(seat, None)

    def take(self, holder: str) -> Seat | None:
        """The seat whose turn it is, of those that have work and are in nobody's hands."""
        seat = self.take_beside(holder, self._has_work)
        if seat is not None:
            self._order.remove(seat)
            self._order.append(seat)
        return seat

    def take_beside(self, holder: str, wanted: Callable[[Seat], bool]) -> Seat | None:
        """A wanted seat that is in nobody's hands, out of its turn, which it keeps."""
        seat = next((seat for seat in self._order if seat not in self._holders and wanted(seat)), None)
        if seat is not None:
            self._holders[seat] = holder
        return seat

    def give_back(self, seat: Seat) -> bool:
        """Into nobody's hands; whether there is work for the next one."""
        self._holders.pop(seat, None)
        return self._has_work(seat)

    def leave(self, holder: str) -> None:
        """Gives back all that a thread holds, which ends."""
        self._holders = {seat: other for seat, other in self._holders.items() if other != holder}
