"""Reads one session's figures, for people and for `/metrics`."""

from __future__ import annotations

from mytalk.errors import MyTalkError
from streamer.clock import MILLISECOND_NS
from streamer.engine.overload import Rung
from streamer.session.media_loop import MediaLoop
from streamer.session.media_setup import MediaSetup
from streamer.session.media_start import MediaStart
from streamer.webrtc.broadcast import Broadcast


class SessionFigures:
    """Counts what one session has done so far, and what waits in it. ``media`` is None before the session is live."""

    def __init__(self, setup: MediaSetup, broadcast: Broadcast) -> None:
        self.media: MediaStart | None = None
        self._clock = setup.clock
        self._voice = setup.voice
        self._broadcast = broadcast
        self._born = setup.clock.now()

    @property
    def age(self) -> int:
        """Returns the nanoseconds since the session was made."""
        return self._clock.now() - self._born

    @property
    def failure(self) -> MyTalkError | None:
        """Says why the pictures leave untouched, where they do."""
        return self._live.failure if self._live is not None else None

    @property
    def rung(self) -> Rung:
        """Says what the session has given up under overload."""
        return self._live.rung if self._live is not None else Rung.FULL

    def pictures(self) -> dict[str, int]:
        """Counts pictures so far, by what became of them."""
        return self._live.pictures() if self._live is not None else {}

    def queues(self) -> dict[str, int]:
        """Counts items that wait, by where."""
        return {"encoder": self._broadcast.waiting} | (self._live.queues() if self._live is not None else {})

    @property
    def speech_waiting_ms(self) -> int:
        """Returns the milliseconds of streamed speech that wait to be said."""
        untimed = self._voice.buffered_ms if self._voice is not None else 0
        return untimed + (self.media.speech_waiting_ms if self.media is not None else 0)

    def stats(self) -> dict[str, object]:
        """Returns counts and milliseconds of the whole session, its stages and its stream at the engine."""
        return {"age_ms": self.age // MILLISECOND_NS} | (self._live.stats() if self._live is not None else {})

    @property
    def _live(self) -> MediaLoop | None:
        return self.media.loop if self.media is not None else None
