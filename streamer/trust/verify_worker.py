"""Verifies one film for another process: :mod:`streamer.trust.verifier` starts it and ends it.

    python -m streamer.trust.verify_worker PLACE < FILM

The film is written to ``PLACE`` first: its reader has to go back and forth.
Exit code 0: the report as JSON on standard output. Exit code ``REFUSED``: the reason, in one line.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
from pathlib import Path

import cv2
import msgspec

from mytalk.errors import InputError
from streamer.trust.verification import verify

SECONDS = 20.0
"""Seconds of a film in which a watermark is looked for."""

REFUSED = 3

CPU_SECONDS = 60
"""Seconds of processor time, and ``MEMORY`` bytes, after which the system ends the process."""

MEMORY = 4 << 30

NICE = 10
"""Priority of the process: live sessions go first, whatever theirs is."""


def main(film: Path) -> int:
    """Prints the report of the film on standard input."""
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    cv2.setNumThreads(1)
    with film.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    try:
        report = verify(film, seconds=SECONDS, name="film")
    except (InputError, MemoryError) as error:
        sys.stdout.write(str(error).replace(str(film), "film") if isinstance(error, InputError) else "film: too large")
        return REFUSED
    sys.stdout.buffer.write(msgspec.json.encode(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
