"""Decodes strangers' pictures in a process of its own, which is ended where it takes too long."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mytalk.errors import UnreadableError
from streamer.errors import BusyError
from streamer.session.portrait_worker import HEAD, REFUSED

SECONDS = 6.0
"""Seconds of wall time that a picture may take: the largest JPEG that is accepted takes 2 s of a core."""

RETRY_DECODE = 5
"""Seconds after which a client may try again whose picture found the server too busy, or stopping."""


class PortraitDecoder:
    """Starts one process a picture: 0.2 s, and nothing of one client's picture is left for another's.

    ``decode`` is for a thread; ``close`` for any.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._closed = False

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """Returns the picture's RGB, at most 1024 pixels a side. Raises ``UnreadableError``, or ``BusyError`` once
        ``close`` was called."""
        process = self._start()
        with process:
            try:
                output, _ = process.communicate(data, timeout=SECONDS)
            except subprocess.TimeoutExpired as error:
                process.kill()
                raise UnreadableError(f"portrait: not decoded within {SECONDS:.0f} s (save it smaller)") from error
            finally:
                with self._lock:
                    self._running.discard(process)
        if process.returncode == REFUSED:
            raise UnreadableError(output.decode())
        if process.returncode != 0:  # ended by the system for what it took, or by ``close``
            raise UnreadableError("portrait: the picture cannot be decoded (save it anew, or smaller)")
        width, height = HEAD.unpack_from(output)
        return np.frombuffer(output, np.uint8, offset=HEAD.size).reshape(height, width, 3)

    def close(self) -> None:
        """Ends the processes that run, and starts no more."""
        with self._lock:
            self._closed = True
            for process in self._running:
                process.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MYTALK_")}  # secrets
        with self._lock:
            if self._closed:
                raise BusyError("the server is stopping (ask another)", RETRY_DECODE)
            process = subprocess.Popen(
                [sys.executable, "-m", "streamer.session.portrait_worker"],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment | {"PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C is for the server, which ends its processes
            )
            self._running.add(process)
        return process
