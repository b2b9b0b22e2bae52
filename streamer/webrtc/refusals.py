"""Counts what peers send that is not taken, and says so in the log once a minute at most."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Literal

from streamer.webrtc.rate_limit import RateLimit

log = logging.getLogger(__name__)

Reason = Literal["malformed", "stranger", "full", "rtcp", "source", "candidate", "check", "error"]
"""Why a datagram is not taken or not answered: malformed STUN; media from an address that has shown no credentials; a
full queue; more RTCP than a peer has to say; one SSRC too many; one address too many; a check beyond the pace; an
error response beyond it."""

LOG_PAUSE = 60.0
"""Seconds between two lines of the log on what was refused, over all connections of the process."""

_lines = RateLimit(1 / LOG_PAUSE, 1)


class Refusals:
    """Holds the refusals of one connection, by reason."""

    def __init__(self) -> None:
        self.counts = Counter[Reason]()

    def add(self, reason: Reason) -> None:
        """Counts one."""
        self.counts[reason] += 1
        if _lines.take(1, time.monotonic()):
            counts = ", ".join(f"{name}: {count}" for name, count in self.counts.items())
            log.warning("datagrams of a connection are refused (%s); this is said once a minute at most", counts)
