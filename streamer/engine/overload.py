"""Decides what a session gives up under overload, and when it takes it back. Sans-IO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum

from mytalk.stream_options import StreamControls
from streamer.clock import MILLISECOND_NS, SAMPLE_NS, SECOND_NS

TOO_FAR = 120 * MILLISECOND_NS // SAMPLE_NS
"""Media time. An engine that never lags by less for a second, and does not catch up, is overloaded: its pictures will
soon be late."""

CLOSE = 20 * MILLISECOND_NS // SAMPLE_NS
"""Media time. An engine that gets so close every second has something to spare."""

LOOK = SECOND_NS
"""How long the least lag is taken over: that of a queue which empties now and then is small, however long it gets."""

SETTLE = SECOND_NS
"""How long a change is left to show what it does."""

PATIENCE = 5 * SECOND_NS
"""How long the engine must have something to spare before a rung is taken back."""

MOST_PATIENCE = 80 * SECOND_NS
"""The most that patience grows to: it doubles where a rung that was taken back had to be given up again."""

RELAPSE = 10 * SECOND_NS
"""A rung given up within this time of taking it back was taken back too early."""

_UNSEEN = 1 << 62


class Rung(IntEnum):
    """Names what a session gives up. Each rung includes those above it; sound is never given up."""

    FULL = 0
    FEWER_STEPS = 1  # a quarter of the sampling steps
    UNMENDED = 2  # warped mouths are not refined (the name is the wire's)
    HALF_RATE = 3  # every second picture is left out; the others' mouths are those of their own time
    UNTOUCHED = 4  # pictures leave as they came


def reduced(controls: StreamControls, rung: Rung) -> StreamControls:
    """Returns ``controls`` without what a session gives up at a rung."""
    steps = max(1, controls.steps // 4) if rung >= Rung.FEWER_STEPS else controls.steps
    return replace(controls, steps=steps, refinement=rung < Rung.UNMENDED)


class OverloadLadder:
    """Moves one session down the overload ladder and back up.

    >>> ladder = OverloadLadder([Rung.FULL, Rung.UNTOUCHED], now=0)
    >>> [ladder.observe(lag=4800, now=ms * 1_000_000) for ms in (500, 1000, 1500, 2000)]
    [False, False, False, True]
    >>> ladder.rung
    <Rung.UNTOUCHED: 4>
    """

    def __init__(self, rungs: Sequence[Rung], now: int) -> None:
        self._rungs = tuple(rungs)
        self._place = 0
        self._patience = PATIENCE
        self._early = self._late = _UNSEEN  # least lag in either half of a look
        self._before: int | None = None  # in the look before, of this rung
        self._look_from = now + SETTLE
        self._spare_since = now
        self._up_at: int | None = None  # when a rung was taken back last

    @property
    def rung(self) -> Rung:
        """Returns the rung that the session is on."""
        return self._rungs[self._place]

    def observe(self, lag: int, now: int) -> bool:
        """Takes how much media time the engine lags behind what it could have done; says whether the rung changed."""
        if now < self._look_from:
            return False
        if now - self._look_from < LOOK // 2:
            self._early = min(self._early, lag)
        else:
            self._late = min(self._late, lag)
        if now - self._look_from < LOOK:
            return False
        early, late, before = self._early, self._late, self._before
        self._early, self._late, self._before, self._look_from = _UNSEEN, _UNSEEN, min(early, late), now
        if min(early, late) > CLOSE:
            self._spare_since = now
        # Lag that jumps up and down in step with looks is less in each second half, and stays the same.
        stays = late > early - CLOSE or (before is not None and min(early, late) > before - CLOSE)
        if late > TOO_FAR and stays and self._place < len(self._rungs) - 1:
            self._step_down(now)
            return True
        if self._place > 0 and now - self._spare_since >= self._patience:
            self._place -= 1
            self._up_at = now
            self.settle(now)
            return True
        return False

    def _step_down(self, now: int) -> None:
        if self._up_at is not None:
            relapsed = now - self._up_at < RELAPSE
            self._patience = min(2 * self._patience, MOST_PATIENCE) if relapsed else PATIENCE
            self._up_at = None
        self._place += 1
        self.settle(now)

    def settle(self, now: int) -> None:
        """Begins a look anew at ``now``: what was seen before, such as a stall, is no sign of overload."""
        self._early = self._late = _UNSEEN
        self._before = None
        self._look_from, self._spare_since = now + SETTLE, now + SETTLE
