"""Processes that the server has started, as /proc shows them."""

from __future__ import annotations

import os
from pathlib import Path


def children(besides: int = 0) -> dict[int, str]:
    """The command lines of this process's children by id, those that ended and were not reaped included."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid() and stat.parent.name != str(besides):
                line = stat.with_name("cmdline").read_bytes().replace(b"\0", b" ").decode()
                found[int(stat.parent.name)] = line or f"zombie {stat}"
        except OSError:  # it went meanwhile
            continue
    return found


def push_senders(besides: int = 0) -> dict[int, str]:
    """Those that send a push. ``besides``: a child that is none of the server's, and may end at any time."""
    names = ("raw_packet_size", "push_worker", "zombie", "sleep")
    return {pid: line for pid, line in children(besides).items() if any(name in line for name in names)}
