"""Ends a process that hangs."""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

_LOOK = 0.1  # seconds between two looks at a process that is to answer


class AnswerDeadline:
    """Kills a process that does not answer in time. Time in which this process stands still as well does not count."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._looks: int | None = None  # that are left; None: no answer is due
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="tracker deadline", daemon=True).start()

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Gives the process ``seconds`` for what it is asked in here."""
        self._set(round(seconds / _LOOK))
        try:
            yield
        finally:
            self._set(None)

    def _set(self, looks: int | None) -> None:
        with self._lock:
            self._looks = looks

    def _watch(self) -> None:
        while self._process.poll() is None:
            time.sleep(_LOOK)
            with self._lock:
                if self._looks is None:
                    continue
                self._looks -= 1
                if self._looks < 0:
                    self._looks = None
                    log.warning("the process that tracks faces does not answer: it is ended")
                    self._process.kill()
