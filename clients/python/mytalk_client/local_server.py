"""Runs a server on this machine for as long as a program needs one.

::

    async with local_server("--max-sessions", "4") as url:
        async with open_avatar(url) as avatar:
            ...
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import urllib.error
import urllib.request
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from mytalk_client.errors import ClientError, LostError

START_SECONDS = 120.0
"""The longest that a server may take to load its models: a first start compiles."""

STOP_SECONDS = 10.0
"""The longest that it may take to stop, before it is killed."""

_LAST_LINES = 20  # of its output, for the error
_LOOK_SECONDS = 0.1
_SERVING = re.compile(r"Serving at (\S+?)/? ")
COMMAND = (sys.executable, "-m", "streamer.cli", "serve", "--host", "127.0.0.1", "--port", "0")


@asynccontextmanager
async def local_server(*options: str, command: Sequence[str] = COMMAND) -> AsyncIterator[str]:
    """Starts ``mytalk serve`` on a free port of the loopback interface, waits until it is ready, and yields its URL.

    ``options``: of ``mytalk serve``. Needs the package ``mytalk-streamer`` in the same environment. At the end of the
    block its sessions end and it stops. Raises ``LostError`` where it does not start.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        *options,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is for the program, which stops its server itself
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    lines: deque[str] = deque(maxlen=_LAST_LINES)
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    reading = asyncio.create_task(_read(process, lines, address))
    try:
        try:
            async with asyncio.timeout(START_SECONDS):
                url = await address
                while not await asyncio.to_thread(_is_ready, url):
                    if process.returncode is not None:
                        raise LostError(_failure(lines))
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError as error:
            raise LostError(f"no server after {START_SECONDS:.0f} s") from error
        yield url
    finally:
        await _stop(process)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _read(process: asyncio.subprocess.Process, lines: deque[str], address: asyncio.Future[str]) -> None:
    """Reads the server's output to its end, so that it never waits for a reader."""
    assert process.stdout is not None
    while piece := await process.stdout.readline():
        line = piece.decode(errors="replace").rstrip()
        lines.append(line)
        if (found := _SERVING.search(line + " ")) and not address.done():
            address.set_result(found[1])
    await process.wait()
    if not address.done():
        address.set_exception(LostError(_failure(lines)))


def _failure(lines: deque[str]) -> str:
    said = [line for line in lines if line]
    return f"the server ended: {said[-1] if said else 'no output'}"


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError as error:
        raise ClientError(f"{url}: {error}") from error


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)  # at SIGTERM it would wait for its sessions
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
