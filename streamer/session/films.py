"""Records one session's dubbed film, where it was asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path

from streamer.outputs.recorder import Recorder
from streamer.protocol.events import Events
from streamer.session.options import SessionOptions
from streamer.webrtc.broadcast import Broadcast


class SessionFilms:
    """Holds the recorders of a session. One that fails is an event, and the session goes on."""

    def __init__(self, events: Events, broadcast: Broadcast, folder: Path | None) -> None:
        self._events = events
        self._broadcast = broadcast
        self._folder = folder
        self._recorders: list[Recorder] = []

    def begin(self, options: SessionOptions, session_id: str) -> list[Recorder]:
        """Returns the sinks of the films that the options ask for."""
        targets = options.recording_targets(self._folder, session_id)
        self._recorders = [Recorder(target, self._broadcast, self._failed) for target in targets]
        return self._recorders

    async def close(self) -> None:
        """Finishes the films."""
        await asyncio.gather(*(recorder.close() for recorder in self._recorders))

    def _failed(self, message: str) -> None:
        self._events.add("error", code="film", message=message, fatal=False)
