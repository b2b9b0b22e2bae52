"""Stalls of the event loop that the server's own code is to blame for, in tests."""

from __future__ import annotations

from collections.abc import Sequence

from streamer.telemetry.loop_watchdog import Stall

CPU_LIMIT_S = 0.25
"""The most that the loop's thread may compute during one stall, all callbacks since the beat before together. One
callback alone: ``callback_times.CPU_LIMIT_S``."""

NOT_THE_SERVERS = ("tests.", "mytalk_client.")


def to_blame(stalls: Sequence[Stall], limit: float = CPU_LIMIT_S) -> list[Stall]:
    """Returns the stalls in which the server computed too long.

    The test itself, which runs on the same loop, and its peers, whose stacks show libraries alone, are not blamed;
    nor is a collection of garbage, which walks what all the tests of the process have made.
    """
    return [stall for stall in stalls if _own_seconds(stall) > limit and _is_the_servers(stall)]


def _own_seconds(stall: Stall) -> float:
    return stall.cpu_seconds - stall.collecting_seconds


def _is_the_servers(stall: Stall) -> bool:
    tests = any(frame.module.startswith(NOT_THE_SERVERS) for frame in stall.stack)
    return not tests and any(frame.is_ours or frame.module.startswith("aiohttp.web") for frame in stall.stack)


def report(stall: Stall) -> str:
    """Describes a stall: its place, its CPU time and its stack."""
    stack = "\n    ".join(str(frame) for frame in stall.stack)
    return f"{stall.place} computed for {1000 * _own_seconds(stall):.0f} ms on the event loop:\n    {stack}"
