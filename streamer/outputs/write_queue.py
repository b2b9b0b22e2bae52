"""Holds what is to be written between the event loop and the one thread that writes it."""

from __future__ import annotations

import threading
from collections import deque

from streamer.media.audio import SpeechChunk
from streamer.webrtc.encoded import Encoded

MOST_ITEMS = 500
"""Pictures and pieces of sound (about 7 s) that may wait. Full: the disk or network stands still; the output ends."""

MOST_BYTES = 32 << 20
"""Bytes that may wait: 7 s at 38 Mbit/s. Full: likewise."""

Item = SpeechChunk | Encoded


class WriteQueue:
    """Passes items to one thread, in order. ``put`` and ``close`` never wait."""

    def __init__(self, most_items: int = MOST_ITEMS, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_items, most_bytes
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._closed = False
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> bool:
        """Takes an item. Returns False, and takes nothing, where it is full."""
        with self._changed:
            if len(self._items) >= self._most[0] or self._bytes + _size(item) > self._most[1]:
                return False
            self._items.append(item)
            self._bytes += _size(item)
            self._changed.notify()
        return True

    def close(self) -> None:
        """Takes nothing more from now on: ``get`` gives what waits, then None."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def get(self) -> Item | None:
        """Waits for the next item; None after the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            if not self._items:
                return None
            item = self._items.popleft()
            self._bytes -= _size(item)
        return item


def _size(item: Item) -> int:
    return item.samples.nbytes if isinstance(item, SpeechChunk) else len(item.data)
