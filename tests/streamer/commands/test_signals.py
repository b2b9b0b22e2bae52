"""A signal ends a command even if its exception was swallowed where it was raised."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from streamer.commands.progress_bar import Progress
from streamer.commands.signals import check, end_on_signals


@pytest.fixture(autouse=True)
def _handlers(signals_heeded: None) -> Iterator[None]:
    end_on_signals()
    yield
    end_on_signals()  # forgets


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_what_was_swallowed_is_raised_with_the_next_frame(number: int, raised: type[BaseException]) -> None:
    progress = Progress("dubbing", "frame")
    progress(1, 10)
    with suppress(KeyboardInterrupt, SystemExit):
        signal.raise_signal(number)
    with pytest.raises(raised):
        progress(2, 10)


def test_without_a_signal_nothing_is_raised() -> None:
    check()


def test_the_exit_code_is_that_of_shells() -> None:
    with pytest.raises(SystemExit) as stop:
        signal.raise_signal(signal.SIGTERM)
    assert stop.value.code == 128 + signal.SIGTERM
