from __future__ import annotations

import signal
from types import FrameType

import pytest

from mytalk.training.run.signals import signals_held


class _UnwoundError(Exception):
    pass


def _unwind(number: int, _: FrameType | None) -> None:
    raise _UnwoundError(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_held_signal_unwinds_when_the_call_is_over(number: signal.Signals) -> None:
    before = signal.signal(number, _unwind)
    done = []

    def call() -> None:
        with signals_held():
            signal.raise_signal(number)
            done.append("the rest of it")

    try:
        with pytest.raises(_UnwoundError):
            call()
        assert done
        assert signal.getsignal(number) is _unwind
    finally:
        signal.signal(number, before)


def test_an_error_within_is_not_hidden_where_no_signal_came() -> None:
    with pytest.raises(ValueError, match="mine"), signals_held():
        raise ValueError("mine")
