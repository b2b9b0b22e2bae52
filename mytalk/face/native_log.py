"""Keeps what MediaPipe and TensorFlow Lite print about themselves off standard error.

They write to file descriptor 2 when a graph is first used, whatever their log levels say. While a graph is new, that
descriptor leads to a file; every line in it that is not theirs is written to the real one right after.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
_lock = threading.Lock()

# The head of an absl line (severity, month and day, time, thread, file), and the lines that come without one.
_NATIVE = re.compile(
    rb"[IWE]\d{4} [\d:.]+ +\d+ [\w/]+\.(cc|h|cpp):\d+\] "
    rb"|WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|INFO: Created TensorFlow Lite "
)


@contextmanager
def without_native_log() -> Iterator[None]:
    """Withholds the libraries' own lines from standard error while the block runs; one thread at a time."""
    with _lock:
        try:
            real = os.dup(_STDERR)
        except OSError:  # this program has no standard error
            yield
            return
        try:
            with tempfile.TemporaryFile() as written:
                _flush()
                os.dup2(written.fileno(), _STDERR)
                try:
                    yield
                finally:
                    _flush()
                    os.dup2(real, _STDERR)
                    written.seek(0)
                    for line in written:
                        if not _NATIVE.match(line):
                            os.write(_STDERR, line)
        finally:
            os.close(real)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
