from __future__ import annotations

import io
import sys

import pytest

from streamer.commands.progress_bar import Progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _show(monkeypatch: pytest.MonkeyPatch, screen: io.StringIO, total: int | None, frames: int) -> str:
    monkeypatch.setattr(sys, "stderr", screen)
    with Progress("dubbing", "frame") as progress:
        for done in range(1, frames + 1):
            progress(done, total)
    return screen.getvalue()


def test_a_terminal_gets_a_bar_that_reaches_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "100%" in _show(monkeypatch, _Terminal(), 50, 50)


def test_more_frames_than_the_header_said_do_not_overflow_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "60/60" in _show(monkeypatch, _Terminal(), 50, 60)


def test_a_log_gets_a_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = _show(monkeypatch, io.StringIO(), 250, 250).splitlines()
    assert len(lines) == 5
    assert lines[-1] == "dubbing: 250 of 250 frames"
    assert _show(monkeypatch, io.StringIO(), None, 1200).splitlines() == ["dubbing: 500 frames", "dubbing: 1000 frames"]
