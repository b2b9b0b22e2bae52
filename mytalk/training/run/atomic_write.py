"""Writes files of a run or a data folder whole or not at all, and explains a full disk or a missing right."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mytalk.errors import OutputError, OutputFullError

_DISK_FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turns an OSError inside the block into OutputError, or OutputFullError where no space is left for ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise OutputFullError(
                f"{path}: no space left for it (free some, then run again: it goes on where it stopped)"
            ) from error
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error


def write_text(path: Path, text: str) -> None:
    """Replaces a text file (UTF-8) by one rename. Raises OutputError, or OutputFullError where no space is left."""
    part = path.with_name(f".{path.name}.part")
    with output_errors(path):
        part.write_text(text, encoding="utf-8")
        part.replace(path)
