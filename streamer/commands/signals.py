"""Signals that end a command, so that none is lost.

A signal's exception is raised wherever Python happens to be; in a destructor or a callback of a native library it is
printed there and swallowed. So it is kept as well, and long work asks for it with every frame.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn

_asked: list[int] = []


def end_on_signals() -> None:
    """SIGTERM and SIGHUP unwind like Ctrl-C does, so that nothing half-written stays behind. What is ignored, as by
    nohup, stays ignored."""
    _asked.clear()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _unwind)


def check() -> None:
    """Raises again what a signal asked for, should it have been swallowed."""
    if _asked:
        _end(_asked[-1])


def _unwind(number: int, _: FrameType | None) -> NoReturn:
    _asked.append(number)
    _end(number)


def _end(number: int) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
