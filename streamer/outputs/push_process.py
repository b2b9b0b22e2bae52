"""Starts the process that sends a push through PyAV's FFmpeg, and says why it ended.

PyAV connects and writes headers holding the interpreter's lock, so a receiver that accepts and stays silent would stop
every thread of the server. The URL, which may hold a stream key, is written into the process's pipe: the arguments of
a process can be read by everybody on the machine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from streamer.outputs.push_worker import CONNECT_TIMEOUT, CONNECTED
from streamer.outputs.sender import environment


@dataclass(frozen=True, slots=True)
class PushCommand:
    """Starts the process for a push to ``url``."""

    url: str = field(repr=False)  # may hold a stream key

    def start(self, stderr: int) -> subprocess.Popen[bytes]:
        """Starts it and gives it the URL."""
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        process = subprocess.Popen(
            [sys.executable, "-m", "streamer.outputs.push_worker"],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env=environment() | {"PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for the server, which ends its pushes
        )
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already, which the next write finds
            process.stdin.write(f"{self.url}\n".encode())  # less than a pipe holds
        return process

    def reason(self, stderr: str, status: int) -> str:
        """Says why it ended, in words of ours and FFmpeg's name of the error."""
        first, *more = stderr.splitlines() or [""]
        stuck = status == -signal.SIGALRM
        if first != CONNECTED:
            how = f"nothing came within {CONNECT_TIMEOUT} s" if stuck else first or "its process ended"
            return f"the receiver did not accept it ({how})"
        how = "the receiver takes nothing" if stuck else more[0] if more else "its process ended"
        return f"the connection broke ({how})"
