"""Reads time, for the whole package. Moments are integers in nanoseconds, monotonic but for :func:`ntp_now` and
:func:`unix_now`."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Protocol

from mytalk.media_time import SAMPLE_RATE

SAMPLE_NS = 1_000_000_000 // SAMPLE_RATE
"""Nanoseconds a sample of media time: 62 500, exactly."""

MILLISECOND_NS = 1_000_000
SECOND_NS = 1_000_000_000


_NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970


def ntp_now() -> int:
    """Gives the wall clock as sender reports have it: seconds since 1900, times 2^32 (RFC 3550, 4)."""
    seconds, nanoseconds = divmod(time.time_ns(), SECOND_NS)
    return (seconds + _NTP_EPOCH << 32) | (nanoseconds << 32) // SECOND_NS


def unix_now() -> int:
    """Gives the wall clock: nanoseconds since 1970."""
    return time.time_ns()


def thread_cpu_ns() -> int:
    """Nanoseconds that the calling thread has computed since it began."""
    return time.thread_time_ns()


def process_cpu_ns() -> int:
    """Nanoseconds that all threads of this process have computed since it began."""
    return time.process_time_ns()


def cpu_clock_of_this_thread() -> Callable[[], int]:
    """Returns what reads, from any thread, the nanoseconds that the calling one has computed: 0 where the system has no
    such clock, and once that thread has ended."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return lambda: 0
    clock = time.pthread_getcpuclockid(threading.get_ident())

    def read() -> int:
        try:
            return time.clock_gettime_ns(clock)
        except OSError:  # it has ended
            return 0

    return read


class Clock(Protocol):
    """Reads monotonic time and waits for a moment of it."""

    def now(self) -> int:
        """Gives this moment, in nanoseconds since an arbitrary origin. Callable from any thread."""

    async def sleep_until(self, moment: int) -> None:
        """Returns at ``moment`` or just after; at once where it has passed, but never without yielding."""


class SystemClock:
    """Reads the machine's monotonic clock."""

    def now(self) -> int:
        return time.monotonic_ns()

    async def sleep_until(self, moment: int) -> None:
        await asyncio.sleep(max(0, moment - time.monotonic_ns()) / SECOND_NS)


class FakeClock:
    """Stands still until a test moves it."""

    def __init__(self, now: int = 0) -> None:
        self._now = now
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now(self) -> int:
        return self._now

    async def sleep_until(self, moment: int) -> None:
        if moment <= self._now:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (moment, next(self._order), woken))
        await woken

    def jump(self, nanoseconds: int) -> None:
        """Moves time on while nothing runs, as a process sees it that was stopped."""
        self._now += nanoseconds

    async def advance(self, nanoseconds: int) -> None:
        """Moves time on, and at every moment on the way lets the tasks run that wait for it."""
        end = self._now + nanoseconds
        while self._sleepers and self._sleepers[0][0] <= end:
            self._now = max(self._now, self._sleepers[0][0])
            while self._sleepers and self._sleepers[0][0] <= self._now:
                woken = heapq.heappop(self._sleepers)[2]
                if not woken.done():
                    woken.set_result(None)
            for _ in range(5):  # a woken task may start others
                await asyncio.sleep(0)
        self._now = end
        await asyncio.sleep(0)
