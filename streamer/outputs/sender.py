"""Feeds a push to a program of its own: what waits for a stranger's server can be ended, and holds up nothing here.

The program reads the container's bytes from its standard input; the system's pipe (64 KiB) bounds what waits there. The
program is killed and reaped with its push. Should the server die, its pipe is closed and the program ends by itself.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from typing import Protocol

EXIT_WAIT = 1.0
"""Seconds that the program may take to end by itself once all has been written."""


class Command(Protocol):
    """Starts a program that sends its standard input to a receiver."""

    def start(self, stderr: int) -> subprocess.Popen[bytes]:
        """Starts it, its standard error being ``stderr``."""

    def reason(self, stderr: str, status: int) -> str:
        """Says why it ended early, from what it wrote and its exit status, without any secret."""


class Sender:
    """Wraps the program as a file to write to, from a thread that may wait. ``kill`` is for any thread."""

    def __init__(self, command: Command) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr_read = -1  # the descriptor to read it from
        self._over = False
        self._broken = False

    def write(self, data: bytes) -> int:
        """Writes all of ``data``, as fast as the program takes it. Raises ``OSError`` where it has ended."""
        pipe = self._running().stdin
        assert pipe is not None
        left = memoryview(data)
        try:
            while left:
                left = left[pipe.write(left) :]
        except OSError:  # its end of the pipe closes a moment before it can be reaped
            self._broken = True
            raise
        return len(data)

    def kill(self) -> None:
        """Ends the program at once, which also ends a ``write`` that waits."""
        self._over = True
        if self._process is not None:
            self._process.kill()

    def close(self) -> str | None:
        """Returns when the program has ended and is reaped. Gives the reason of an early end, else None."""
        self._over = True
        process = self._process
        if process is None:
            return None
        failed = self._broken or process.poll() is not None
        assert process.stdin is not None
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(EXIT_WAIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        stderr = _read(self._stderr_read)
        os.close(self._stderr_read)
        return self._command.reason(stderr, process.returncode) if failed else None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            if self._over:
                raise BrokenPipeError("the push is over")
            self._process = self._start()
            if self._over:  # kill() came while the program started, and did not see it
                self._process.kill()
        return self._process

    def _start(self) -> subprocess.Popen[bytes]:
        self._stderr_read, stderr_write = os.pipe()
        os.set_blocking(stderr_write, False)  # full: what is said beyond is lost, and the program goes on
        os.set_blocking(self._stderr_read, False)
        try:
            return self._command.start(stderr_write)
        except BaseException:
            os.close(self._stderr_read)
            raise
        finally:
            os.close(stderr_write)


def environment() -> dict[str, str]:
    """Gives the environment without the server's settings, which hold secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MYTALK_")}


def _read(descriptor: int) -> str:
    with suppress(BlockingIOError):
        return os.read(descriptor, 1 << 16).decode(errors="replace")
    return ""
