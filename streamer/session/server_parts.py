"""Holds the parts of a server that its sessions share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Histogram

from mytalk.controls.values import MAX_STEPS
from mytalk.marking import Payload
from streamer.clock import Clock
from streamer.engine.engine import Engine
from streamer.executors import Executors
from streamer.session.idle_timeout import IDLE_WAIT


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerParts:
    """Holds what every session of one server is given.

    ``skew``: by how much pictures left later than their sound. ``recordings``: the folder of recordings, where there is
    one. ``idle_wait``: nanoseconds after which a session without users ends. ``max_steps``: the most sampling steps
    that one may ask for. ``watermark``: whether dubbed pictures are marked.
    """

    engine: Engine
    clock: Clock
    executors: Executors
    skew: Histogram
    recordings: Path | None = None
    idle_wait: int = IDLE_WAIT
    max_steps: int = MAX_STEPS
    watermark: bool = True

    def watermark_of(self, session_id: str) -> Payload | None:
        """Returns what the pictures of a session are marked with."""
        return Payload.of("session", session_id) if self.watermark else None
