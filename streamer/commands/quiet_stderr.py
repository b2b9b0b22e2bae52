"""Keeps what C++ libraries print out of the user's standard error.

MediaPipe, TensorFlow Lite and absl write to file descriptor 2 whatever their log levels say. While ``silenced``, that
descriptor leads nowhere, and Python's own ``sys.stderr`` writes to the real one.
"""

from __future__ import annotations

import faulthandler
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2


@contextmanager
def silenced() -> Iterator[None]:
    """For the whole process, so enter it once, before other threads are there. Crashes still show where Python was."""
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not _is_real(sys.stderr):
        yield  # somebody has taken it over already
        return
    sys.stderr.flush()
    python_stderr, kept = sys.stderr, os.dup(_STDERR)
    sys.stderr = io.TextIOWrapper(
        os.fdopen(kept, "wb", 0), python_stderr.encoding, "backslashreplace", line_buffering=True, write_through=True
    )
    faulthandler.enable(sys.stderr)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDERR)
    os.close(nowhere)
    try:
        yield
    finally:
        faulthandler.disable()
        os.dup2(kept, _STDERR)
        sys.stderr.close()
        sys.stderr = python_stderr


def _is_real(stream: object) -> bool:
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == _STDERR
    except (OSError, ValueError):
        return False
