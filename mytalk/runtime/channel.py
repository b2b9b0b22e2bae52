"""Passes items from one thread to another through a bounded queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class ChannelClosed(Exception):
    """Says that the other side is gone: nothing is taken or given any more."""


class Channel(Generic[T]):
    """Items from one thread to another, in order; at most ``depth`` wait.

    Full: ``put`` waits until there is room, so the giving thread slows to the taking one and nothing is dropped.
    """

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self._items: deque[T] = deque()
        self._changed = Condition()
        self._ended = self._closed = False

    def put(self, item: T) -> None:
        """Raises ``ChannelClosed`` when nobody will take it."""
        with self._changed:
            while len(self._items) >= self.depth and not self._closed:
                self._changed.wait()
            if self._closed:
                raise ChannelClosed
            self._items.append(item)
            self._changed.notify_all()

    def end(self) -> None:
        """Ends the input: the taking side gets the items that wait, and then its loop is over."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Gives up at once, on both sides: what waits is dropped."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Yields items until the giving side ends. Raises ``ChannelClosed`` when it gives up."""
        while True:
            with self._changed:
                while not self._items and not self._ended and not self._closed:
                    self._changed.wait()
                if self._closed:
                    raise ChannelClosed
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
