"""Input that was damaged at random, and the check that nothing went wrong inside the server.

The number of examples fits a minute for all of ``tests/streamer/fuzz``, the same ones in every run. A longer run, with
other examples each time: ``pytest tests/streamer/fuzz --hypothesis-profile=long --timeout=0``.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

USUAL = 100
"""Examples of a test for which hypothesis' own profile is made."""


def examples(count: int) -> settings:
    """``count`` examples in the usual run, and as many times more as the profile asks for."""
    factor = settings.default.max_examples / USUAL if settings.default is not None else 1
    return settings(
        max_examples=round(count * factor),
        derandomize=factor <= 1,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def damaged_bytes(draw: st.DrawFn, seeds: Sequence[bytes], faults: int = 4) -> bytes:
    """One of ``seeds`` with up to ``faults`` places cut out, changed or filled."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, faults))):
        at = draw(st.integers(0, len(data)))
        removed = draw(st.sampled_from([0, 1, 2, 4, len(data)]))
        data = data[:at] + draw(st.binary(max_size=8)) + data[at + removed :]
    return data


@st.composite
def damaged_lines(draw: st.DrawFn, lines: Sequence[str], faults: int = 6) -> str:
    """Lines of a text of which up to ``faults`` are gone, doubled, cut, moved, noise, or have other figures."""
    lines = list(lines)
    for _ in range(draw(st.integers(0, faults))):
        if not lines:
            break
        at, line = draw(st.integers(0, len(lines) - 1)), draw(st.sampled_from(lines))
        words, cut = line.split(" "), draw(st.integers(0, len(line)))
        odd = draw(
            st.sampled_from(["-1", "99999999999", " ", "é", "\0", "\ud800", "4294967296"]) | st.text(max_size=20)
        )
        lines[at : at + 1] = draw(
            st.sampled_from(
                [
                    [],
                    [line, line],
                    [line[:cut]],
                    [line[:cut] + odd + line[cut:]],
                    [" ".join(reversed(words))],
                    [odd],
                    [line[:cut] + line[cut:].translate(str.maketrans("0123456789", "9876543210"))],
                ]
            )
        )
    return "\r\n".join(lines) + "\r\n"


@contextmanager
def nothing_went_wrong(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No error was logged meanwhile, as an exception that nobody catches is: what callers do wrong is none of ours."""
    caplog.clear()
    with caplog.at_level(logging.ERROR):
        yield
    gc.collect(0)  # a task that failed tells so when it goes
    wrong = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [(record.getMessage(), record.exc_text or str(record.exc_info)) for record in wrong] == []
