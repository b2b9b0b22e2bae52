"""Decodes one picture for another process: :mod:`streamer.session.portrait_decoder` starts it and ends it.

    python -m streamer.session.portrait_worker < picture > pixels

The picture comes on standard input. Exit code 0: width and height, then RGB bytes, on standard output. Exit code
``REFUSED``: the reason, in one line.
"""

from __future__ import annotations

import os
import resource
import struct
import sys

import cv2
import numpy as np
from numpy.typing import NDArray

from mytalk.errors import UnreadableError
from mytalk.media.still import read_still
from streamer.session.picture_header import MAX_BYTES, check_size

LIVE_SIDE = 1024
"""Pixels of the longer side of what is animated; a larger picture is made smaller."""

HEAD = struct.Struct("<II")
"""Width and height."""

REFUSED = 3

CPU_SECONDS = 8
"""Seconds of processor time, and ``MEMORY`` bytes, after which the system ends the process."""

MEMORY = 2 << 30

NICE = 10
"""Priority of the process: live sessions go first, whatever theirs is."""


def main() -> int:
    """Decodes standard input to standard output."""
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    cv2.setNumThreads(1)
    try:
        rgb = decoded(sys.stdin.buffer.read(MAX_BYTES + 1))
    except (UnreadableError, cv2.error, MemoryError) as error:
        reason = str(error) if isinstance(error, UnreadableError) else "portrait: the picture cannot be decoded"
        sys.stdout.write(reason)
        return REFUSED
    sys.stdout.buffer.write(HEAD.pack(rgb.shape[1], rgb.shape[0]) + rgb.tobytes())
    return 0


def decoded(data: bytes) -> NDArray[np.uint8]:
    """Returns a picture's RGB, upright, over white, at most ``LIVE_SIDE`` pixels a side. Raises ``UnreadableError``."""
    check_size(data)
    try:
        still = read_still(data, LIVE_SIDE)
    except UnreadableError as error:
        raise UnreadableError(f"portrait: {error} (need a whole PNG, JPEG, WebP or HEIC)") from error
    if not still.whole:
        raise UnreadableError("portrait: the picture is damaged (need a whole PNG, JPEG, WebP or HEIC)")
    return still.rgb


if __name__ == "__main__":
    sys.exit(main())
