"""Defines a sink of released media, such as a session's broadcast, its WebSocket stream or a recording."""

from __future__ import annotations

from typing import Protocol

from mytalk.picture import VideoFrame
from streamer.media.audio import SpeechChunk
from streamer.protocol.generation import Cleared


class Sink(Protocol):
    """Takes what the pacer releases, as it releases it. Must not block: what takes time has a bounded queue."""

    def sound(self, chunk: SpeechChunk) -> None:
        """Takes the next 20 ms of speech."""

    def picture(self, frame: VideoFrame) -> None:
        """Takes the next picture."""

    def clear(self, cleared: Cleared) -> None:
        """Takes a barge-in: nothing of an older generation that still waits may leave."""
