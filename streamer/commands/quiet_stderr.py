"""Keeps what C++ libraries print out of the user's standard error.

ONNX Runtime and codecs write to file descriptor 2 whatever their log levels say. While ``silenced``, that descriptor
leads to null, and Python's own ``sys.stderr`` writes to the real one.
"""

from __future__ import annotations

import faulthandler
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STDERR = 2


def open_standard_streams() -> None:
    """Leads input, output or error that the caller has closed to null.

    A file opened later would else get such a descriptor, and what is printed there would be written into it.
    """
    closed = [stream is None for stream in (sys.stdin, sys.stdout, sys.stderr)]
    if not any(closed):
        return
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        continue
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(_STDERR, "w", closefd=False)  # noqa: SIM115


class _Unread(io.FileIO):
    """Writes to a pipe, and drops what is written once nobody reads it: no command fails for a message."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


@contextmanager
def silenced() -> Iterator[None]:
    """Silences native libraries for the whole process. Enter once, before other threads. Crashes still show a trace."""
    if not _is_real(sys.stderr):
        yield  # another program, such as pytest, has replaced it
        return
    sys.stderr.flush()
    python_stderr, real = sys.stderr, os.dup(_STDERR)
    sys.stderr = io.TextIOWrapper(
        _Unread(real, "wb"), python_stderr.encoding, "backslashreplace", line_buffering=True, write_through=True
    )
    faulthandler.enable(sys.stderr)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, _STDERR)
    os.close(null)
    try:
        yield
    finally:
        faulthandler.disable()
        os.dup2(real, _STDERR)
        sys.stderr.close()
        sys.stderr = python_stderr


def _is_real(stream: object) -> bool:
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == _STDERR
    except (OSError, ValueError):
        return False
