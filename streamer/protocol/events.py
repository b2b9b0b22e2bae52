"""Records the events of a session that its client may want to know: named, timestamped, and bounded in number."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from streamer.clock import MILLISECOND_NS, Clock
from streamer.protocol.messages import Message

KEPT = 64
"""Events that a session keeps. Full: the oldest is forgotten; ``counts`` still counts it."""


@dataclass(frozen=True, slots=True)
class Event:
    """Records one event. ``at_ms``: the age of the session when it happened."""

    at_ms: int
    name: str
    data: dict[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Returns one flat object: ``{"type": name, "at_ms": ..., **data}``."""
        return {"type": self.name, "at_ms": self.at_ms, **self.data}


class Events:
    """Keeps the newest events of one session, oldest first. ``listeners`` are called with each as it happens."""

    def __init__(self, clock: Clock) -> None:
        self.counts: Counter[str] = Counter()
        self.listeners: list[Callable[[Event], None]] = []
        self._clock = clock
        self._born = clock.now()
        self._kept: deque[Event] = deque(maxlen=KEPT)

    def add(self, name: str, **data: object) -> Event:
        """Adds an event that happens now."""
        event = Event((self._clock.now() - self._born) // MILLISECOND_NS, name, data)
        self._kept.append(event)
        self.counts[name] += 1
        for listener in list(self.listeners):
            listener(event)
        return event

    def add_message(self, message: Message) -> Event:
        """Adds a message of the server: its type is the event's name, and its fields are the data."""
        data = message.to_json()
        return self.add(data.pop("type"), **data)

    def to_json(self) -> list[dict[str, object]]:
        """Returns all events that are kept."""
        return [event.to_json() for event in self._kept]
