"""Bounds the queues around aiortc's decoder threads: what waits to be decoded, and what was."""

from __future__ import annotations

import asyncio
import queue
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from streamer.webrtc.aiortc_internals import decoders
from streamer.webrtc.aiortc_internals.decoders import Decoded

_DECODER_BOUND = {"audio": 50, "video": 30}  # encoded frames: 1 s each
_PACKETS_BOUND = 200  # packets of speech kept for ``packet``. Full: the oldest is forgotten
_TRACK_BOUND = {"audio": 50, "video": 8}  # decoded frames


class DecoderQueue(queue.Queue[Any]):
    """Holds encoded frames on their way to aiortc's decoder thread, 1 s at most.

    Full: speech loses its oldest packet; video loses everything and asks the sender for a keyframe. None (the end)
    empties the queue, so that the thread ends at once: aiortc joins it on the event loop. ``notice`` gets all video
    that comes: a codec and a frame.
    """

    def __init__(
        self,
        kind: str,
        ask_for_keyframe: Callable[[], None],
        notice: Callable[[Any], None] = lambda item: None,
    ) -> None:
        super().__init__()
        self._notice = notice
        self.dropped = 0
        self.needs_keyframe = False  # what comes before one belongs to pictures that the decoder does not have
        self.packets: OrderedDict[int, bytes] = OrderedDict()  # pts -> speech on its way through the decoder
        self._kind = kind
        self._ask_for_keyframe = ask_for_keyframe

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item is not None and self._kind == "video":
            self._notice(item)
            if decoders.too_large(item[1].data):
                self.dropped += 1
                return
        if item is not None and self.needs_keyframe:
            self.needs_keyframe = not decoders.is_keyframe(item[0].name, item[1].data)
            if self.needs_keyframe:
                self.dropped += 1
                return
        if item is None or (self._kind == "video" and self.qsize() >= _DECODER_BOUND["video"]):
            self._drop(keep=0)
            if item is not None:
                self._ask_for_keyframe()
        else:
            self._drop(keep=_DECODER_BOUND[self._kind] - 1)
        if item is not None and self._kind == "audio":
            self.packets[item[1].timestamp] = item[1].data
            if len(self.packets) > _PACKETS_BOUND:
                self.packets.popitem(last=False)
        super().put(item, block, timeout)

    def _drop(self, keep: int) -> None:
        while self.qsize() > keep:
            try:
                self.get_nowait()
            except queue.Empty:  # the decoder took it
                return
            self.dropped += 1


class TrackQueue:
    """Holds decoded frames on their way to ``track.recv()``. Full: the oldest is dropped and counted. None ends the
    track."""

    def __init__(self, kind: str) -> None:
        self.dropped = 0
        self._bound = _TRACK_BOUND[kind]
        self._frames: asyncio.Queue[Decoded | None] = asyncio.Queue()

    def add(self, frame: Decoded | None) -> None:
        """Takes the next frame."""
        while self._frames.qsize() >= self._bound:
            self._frames.get_nowait()
            self.dropped += 1
        self._frames.put_nowait(frame)

    async def put(self, frame: Decoded | None) -> None:
        """Does the same under the name that aiortc's decoder thread ends a track by."""
        self.add(frame)

    async def get(self) -> Decoded | None:
        """Waits for the next frame."""
        return await self._frames.get()
