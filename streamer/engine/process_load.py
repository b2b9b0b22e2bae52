"""Averages how many cores the whole process takes, its event loop, and what other programs take beside it."""

from __future__ import annotations

from collections.abc import Callable
from math import exp
from typing import NamedTuple

from streamer.clock import MILLISECOND_NS, SECOND_NS
from streamer.engine.admission import MEMORY

INTERVAL = 250 * MILLISECOND_NS
"""Least time between two looks: the kernel counts what programs take in ticks of 10 ms."""


class CpuTimes(NamedTuple):
    """Holds CPU time spent so far, in nanoseconds."""

    process: int  # by all threads of this process
    loop: int  # by the thread of its event loop
    machine: int  # by all programs on the cores that it may use


class ProcessLoad:
    """Averages of the last seconds, in cores. One thread at a time calls.

    ``read`` gives what was spent so far.
    """

    def __init__(self, now: int, read: Callable[[], CpuTimes]) -> None:
        self.process = self.loop = self.others = 0.0
        self._read = read
        self._looked, self._spent = now, read()

    def look(self, now: int) -> None:
        """Takes in what was spent since the last look, unless that was just now."""
        passed = now - self._looked
        if passed < INTERVAL:
            return
        before, spent = self._spent, self._read()
        self._looked, self._spent = now, spent
        process, loop = spent.process - before.process, spent.loop - before.loop
        others = spent.machine - before.machine - process
        kept = exp(-passed / MEMORY)
        self.process = kept * self.process + (1 - kept) * process / passed
        self.loop = kept * self.loop + (1 - kept) * loop / passed
        self.others = kept * self.others + (1 - kept) * max(0, others) / passed


def cpu_times(process: Callable[[], int], loop: Callable[[], int], machine: Callable[[], float | None]) -> CpuTimes:
    """Reads all three; a machine that does not say what other programs take has none."""
    own, seconds = process(), machine()
    return CpuTimes(own, loop(), own if seconds is None else int(seconds * SECOND_NS))
