"""Ends a command on signals, and loses none of them.

A signal's exception is raised wherever Python happens to be; in a destructor or a callback of a native library it is
printed there and swallowed. So each signal is kept as well, and long work calls :func:`check` at every frame.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn

_received: list[int] = []


def end_on_signals() -> None:
    """Lets SIGTERM and SIGHUP raise as Ctrl-C does, so that no half-written file stays behind.

    A signal that is ignored, as under nohup, stays ignored.
    """
    _received.clear()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)


def check() -> None:
    """Raises again the exception of a signal that was received, should it have been swallowed."""
    if _received:
        _raise(_received[-1])


def _on_signal(number: int, _: FrameType | None) -> NoReturn:
    _received.append(number)
    _raise(number)


def _raise(number: int) -> NoReturn:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
