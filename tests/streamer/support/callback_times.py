"""Times what each callback of asyncio's loop computes, in tests."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType
from typing import Any

CPU_LIMIT_S = 0.05
"""The most that one callback of the server's may compute, in seconds of its thread, without garbage collections: what
the machine does besides does not count. The server's own limit is 0.02 s of wall time; a core whose caches others use
takes up to twice as long."""


@dataclass(frozen=True, slots=True)
class LongCallback:
    """A callback that computed for too long. ``places``: its functions that are known, from outside to inside: of a
    task, its coroutines where it stands after it."""

    seconds: float
    places: tuple[str, ...]  # module path and function

    @property
    def is_the_servers(self) -> bool:
        tests = any("/tests/" in place or "mytalk_client" in place for place in self.places)
        ours = ("/streamer/", "/mytalk/", "/aiohttp/web")
        return not tests and any(word in place for place in self.places for word in ours)

    def __str__(self) -> str:
        chain = "\n    ".join(self.places)
        return f"a callback computed for {1000 * self.seconds:.0f} ms on the event loop:\n    {chain}"


@contextmanager
def callbacks_timed(limit: float = CPU_LIMIT_S) -> Iterator[list[LongCallback]]:
    """Collects the callbacks of all loops of asyncio that compute for longer than ``limit`` seconds meanwhile."""
    found: list[LongCallback] = []
    handle: Any = asyncio.Handle
    run = handle._run
    collecting = 0  # of this thread, while it collects: when that began (ns of its CPU time)
    collected = 0

    def on_collection(phase: str, _: dict[str, int]) -> None:
        nonlocal collecting, collected
        if phase == "start":
            collecting = time.thread_time_ns()
        else:
            collected += max(0, time.thread_time_ns() - collecting)

    def timed(self: Any) -> None:
        began, before = time.thread_time_ns(), collected
        run(self)
        seconds = (time.thread_time_ns() - began - (collected - before)) / 1e9
        if seconds > limit:
            found.append(LongCallback(seconds, _places(self._callback)))

    gc.callbacks.append(on_collection)
    handle._run = timed
    try:
        yield found
    finally:
        handle._run = run
        gc.callbacks.remove(on_collection)


def _places(callback: Any) -> tuple[str, ...]:
    task = getattr(callback, "__self__", None)
    if not isinstance(task, asyncio.Task):
        inner = getattr(callback, "func", callback)
        code = getattr(getattr(inner, "__func__", inner), "__code__", None)
        return (_place(code) if code is not None else repr(callback)[:200],)
    chain, coroutine = [], task.get_coro()
    while (code := getattr(coroutine, "cr_code", None)) is not None:
        chain.append(_place(code))
        coroutine = getattr(coroutine, "cr_await", None)
    return tuple(chain)


def _place(code: CodeType) -> str:
    return f"{code.co_filename}:{code.co_qualname}"
