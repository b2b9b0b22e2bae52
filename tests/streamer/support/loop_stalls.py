"""Stalls of the event loop that the server's own code is to blame for, in tests."""

from __future__ import annotations

from collections.abc import Sequence

from streamer.telemetry.loop_watchdog import Stall

CPU_LIMIT_S = 0.25
"""The most that the loop's thread may compute during one stall. The server's limit is 0.02 s of wall time; a
machine whose two cores are busy, and a collection of garbage where torch is loaded, take a multiple of that."""

NOT_THE_SERVERS = ("tests.", "mytalk_client.")


def to_blame(stalls: Sequence[Stall], limit: float = CPU_LIMIT_S) -> list[Stall]:
    """Returns the stalls in which the server computed too long.

    The test itself, which runs on the same loop, and its peers, whose stacks show libraries alone, are not blamed.
    """
    return [stall for stall in stalls if stall.cpu_seconds > limit and _is_the_servers(stall)]


def _is_the_servers(stall: Stall) -> bool:
    tests = any(frame.module.startswith(NOT_THE_SERVERS) for frame in stall.stack)
    return not tests and any(frame.is_ours or frame.module.startswith("aiohttp.web") for frame in stall.stack)


def report(stall: Stall) -> str:
    """Describes a stall: its place, its CPU time and its stack."""
    stack = "\n    ".join(str(frame) for frame in stall.stack)
    return f"{stall.place} computed for {1000 * stall.cpu_seconds:.0f} ms on the event loop:\n    {stack}"
