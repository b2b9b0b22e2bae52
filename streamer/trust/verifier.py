"""Verifies strangers' films in a process of its own, which is ended where it takes too long."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mytalk.errors import UnreadableError
from streamer.errors import BusyError
from streamer.trust.verify_worker import REFUSED

MOST_BYTES = 32 << 20
"""Bytes of a film that a client may send."""

WALL_SECONDS = 90.0
"""Seconds that its verification may take."""

RETRY = 10
"""Seconds after which a client may ask again that found another's film being verified."""


class Verifier:
    """Verifies one film at a time: it takes a core. Full: another gets ``BusyError``."""

    def __init__(self) -> None:
        self._running = False

    def check(self) -> None:
        """Raises ``BusyError`` where a film is being verified."""
        if self._running:
            raise BusyError("another film is being verified (try again in a moment)", RETRY)

    async def verify(self, film: bytes) -> bytes:
        """Returns the report as JSON. Raises ``UnreadableError`` and ``BusyError``."""
        self.check()
        self._running = True
        try:
            with TemporaryDirectory(prefix="mytalk-verify-") as folder:
                return await _report(film, Path(folder) / "film")
        finally:
            self._running = False


async def _report(film: bytes, place: Path) -> bytes:
    """Runs the worker, which writes the film to ``place``, and ends it in any case."""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MYTALK_")}  # secrets
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "streamer.trust.verify_worker",
        str(place),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment | {"PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C is for the server, which ends its processes
    )
    try:
        async with asyncio.timeout(WALL_SECONDS):
            output, _ = await process.communicate(film)
    except TimeoutError as error:
        raise UnreadableError(f"film: not verified within {WALL_SECONDS:.0f} s (send a shorter part of it)") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == REFUSED:
        raise UnreadableError(output.decode())
    if process.returncode != 0:
        raise UnreadableError("film: it cannot be read (save it anew, or send a shorter part of it)")
    return output
