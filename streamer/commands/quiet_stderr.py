"""Keeps what C++ libraries print out of the user's standard error.

MediaPipe, TensorFlow Lite and absl write to file descriptor 2 whatever their log levels say. While ``silenced``, that
descriptor leads null, and Python's own ``sys.stderr`` writes to the real one.
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
    """Silences native libraries for the whole process. Enter once, before other threads. Crashes still show a trace."""
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not _is_real(sys.stderr):
        yield  # another program, such as pytest, has replaced it
        return
    sys.stderr.flush()
    python_stderr, real = sys.stderr, os.dup(_STDERR)
    sys.stderr = io.TextIOWrapper(
        os.fdopen(real, "wb", 0), python_stderr.encoding, "backslashreplace", line_buffering=True, write_through=True
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
