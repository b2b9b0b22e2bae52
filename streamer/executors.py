"""Threads for work that would hold up the event loop, in three pools, so that a slow disk or network delays no picture.

==========  ======================================================  =====================================
pool        jobs                                                    bound, and what happens when it is full
==========  ======================================================  =====================================
codecs      pictures and sound encoded, stored clips decoded        256 jobs wait; then the caller waits
blocking    files read and written, programs and networks probed    32 jobs wait; then requests get 503
libraries   what aiohttp and aioice give to the loop's own          one a connection or file being sent,
            executor: page files, host names                        which the server's limits bound
==========  ======================================================  =====================================

A server owns one :class:`Executors`. No thread starts before its first job.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from streamer.cpu import available_cores, codec_threads
from streamer.errors import BusyError

CODECS_WAITING = 256
"""Jobs that may wait for a codec thread. Full: the caller waits until one is done. A caller has one job at a time and
drops its oldest picture meanwhile, so delay does not grow."""

BLOCKING_THREADS = 4

BLOCKING_WAITING = 32
"""Jobs that may wait for a blocking thread. Full: a request's job is refused with ``BusyError`` (503); the server's
own, such as writing what keys have used, waits for room."""

LIBRARY_THREADS = 4

RETRY_BLOCKING = 5
"""Seconds after which a client whose job was refused may ask again."""

P = ParamSpec("P")
T = TypeVar("T")


class Pool:
    """Runs jobs on ``threads`` threads, in order; ``waiting`` more may wait. Used from one event loop."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self.name = name
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._room = asyncio.Semaphore(threads + waiting)

    async def run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns what ``job`` returns, or raises what it raises. Full: waits for room.

        A job keeps its room until it has ended, also where its caller is cancelled; one that still waits is then
        dropped.
        """
        await self._room.acquire()
        loop = asyncio.get_running_loop()

        def ended(_: Future[T]) -> None:
            if not loop.is_closed():  # a job may outlive the server that gave it
                loop.call_soon_threadsafe(self._room.release)

        context = contextvars.copy_context()  # what the job logs belongs to its caller's session
        future = self._threads.submit(context.run, partial(job, *args, **kwargs))
        future.add_done_callback(ended)
        waited = asyncio.wrap_future(future)
        del future  # an exception knows this frame: with its future in it, both would stay until garbage is collected
        try:
            return await waited
        finally:
            del waited

    async def run_or_refuse(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Returns what ``job`` returns, or raises what it raises. Full: raises ``BusyError``."""
        if self._room.locked():
            raise BusyError("files and networks that this server waits for stand still (ask again)", RETRY_BLOCKING)
        return await self.run(job, *args, **kwargs)

    def close(self) -> None:
        """Drops the jobs that wait. Threads end with the job that they have, which nobody waits for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Executors:
    """The pools of one server.

    >>> executors = Executors(cores=8)
    >>> data = await executors.blocking.run_or_refuse(path.read_bytes)
    """

    def __init__(self, cores: int | None = None) -> None:
        self.codecs = Pool("codec", codec_threads(cores or available_cores()), CODECS_WAITING)
        self.blocking = Pool("blocking", BLOCKING_THREADS, BLOCKING_WAITING)

    @staticmethod
    def serve_libraries() -> None:
        """Gives the running loop the executor for its libraries' jobs. The loop shuts it down."""
        libraries = ThreadPoolExecutor(LIBRARY_THREADS, thread_name_prefix="library")
        asyncio.get_running_loop().set_default_executor(libraries)

    def close(self) -> None:
        """Drops the jobs that wait and lets every thread end."""
        self.codecs.close()
        self.blocking.close()
