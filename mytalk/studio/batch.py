"""Runs many films in several processes, one film a process at a time. One broken film harms no other.

::

    this process                              workers
    a Film (or None: end)             ->      fingerprint, dub
    Frames, Made, Whole, or Failed    <-

A worker ends itself when this process is gone. Where a worker ends, its film has failed, and another takes its place.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Literal, Protocol

from mytalk.errors import MyTalkError
from mytalk.studio.journal import Journal, fingerprint
from mytalk.studio.manifest import Film

_POLL = 0.5  # seconds after which a signal that a library swallowed is looked for
_END = 10  # seconds that a worker may take to end


@dataclass(frozen=True, slots=True)
class Frames:
    """Says how far a film has come; ``total`` None: its length is not known."""

    done: int
    total: int | None


@dataclass(frozen=True, slots=True)
class Made:
    """Says that a film is whole in the journal's work folder; ``figures``: what is told of it."""

    fingerprint: str
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Whole:
    """Says that a film need not be made: it was, of the same files with the same settings."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Says why a film could not be made, in one line."""

    error: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Holds what became of one film."""

    film: Film
    state: Literal["made", "whole", "failed"]
    error: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)


Dub = Callable[[Film, Path, Callable[[int, int | None], None]], dict[str, Any]]
"""Makes a film at a path, calls back with frames done and expected, and returns its figures."""

Start = Callable[[], Dub]
"""Is called once in each worker, before its first film: it loads the models. To be pickled."""


class Watcher(Protocol):
    """Is told what happens, in the calling process."""

    def film_moved(self, film: Film, done: int, total: int | None) -> None: ...

    def film_ended(self, outcome: Outcome) -> None: ...

    def check(self) -> None:
        """Raises where the work is to end: called twice a second at least."""


def run_batch(
    films: Sequence[Film],
    journal: Journal,
    start: Start,
    settings: str,
    *,
    jobs: int,
    force: bool,
    watcher: Watcher,
) -> list[Outcome]:
    """Dubs the films, ``jobs`` at once, and returns what became of each, in the films' order.

    ``settings`` is all that changes a film but its files. Films that the journal has whole are left, unless ``force``;
    a file of a film's name that the journal does not know is replaced only by ``force``.
    """
    run = _Run(journal, start, settings, force, watcher)
    try:
        run.all(deque(films), max(1, min(jobs, len(films))))
    finally:
        run.end()
        journal.clear()
    return [run.outcomes[film.output] for film in films]


class _Worker:
    """Holds a process that makes one film at a time."""

    def __init__(self, start: Start, work: Path, settings: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, start, work, settings), daemon=True)
        self.process.start()
        theirs.close()
        self.film: Film | None = None

    def give(self, film: Film, known: str | None) -> None:
        self.film = film
        self.connection.send((film, known))

    def end(self) -> None:
        """Ends the process at once: what it has not finished is of no use."""
        self.process.terminate()
        self.process.join(_END)
        if self.process.is_alive():
            self.process.kill()
            self.process.join(_END)
        self.connection.close()


class _Run:
    """Gives films to workers and keeps what becomes of them."""

    def __init__(self, journal: Journal, start: Start, settings: str, force: bool, watcher: Watcher) -> None:
        self._journal, self._start, self._settings = journal, start, settings
        self._force, self._watcher = force, watcher
        self._workers: list[_Worker] = []
        self.outcomes: dict[str, Outcome] = {}

    def all(self, waiting: deque[Film], jobs: int) -> None:
        while waiting or any(worker.film for worker in self._workers):
            self._feed(waiting, jobs)
            busy = {worker.connection: worker for worker in self._workers if worker.film is not None}
            for connection in wait(list(busy), _POLL):
                assert isinstance(connection, Connection)
                self._hear(busy[connection])
            self._watcher.check()

    def end(self) -> None:
        for worker in self._workers:
            worker.end()

    def _feed(self, waiting: deque[Film], jobs: int) -> None:
        while waiting:
            worker = next((one for one in self._workers if one.film is None), None)
            if worker is None and len(self._workers) >= jobs:
                return
            film = waiting.popleft()
            record = self._journal.find(film)
            if record is None and not self._force and (self._journal.folder / film.output).exists():
                there = f"{self._journal.folder / film.output}: is there already (--force replaces it)"
                self._end(Outcome(film, "failed", there))
                continue
            if worker is None:
                worker = _Worker(self._start, self._journal.work, self._settings)
                self._workers.append(worker)
            try:
                worker.give(film, record.fingerprint if record is not None and not self._force else None)
            except OSError:  # it has ended since its last film
                self._drop(worker)
                waiting.appendleft(film)

    def _hear(self, worker: _Worker) -> None:
        film = worker.film
        assert film is not None
        try:
            message = worker.connection.recv()
        except (EOFError, OSError):
            code = self._drop(worker)
            self._end(Outcome(film, "failed", f"{film.picture}: its process ended ({code})"))
            return
        if isinstance(message, Frames):
            self._watcher.film_moved(film, message.done, message.total)
            return
        worker.film = None
        if isinstance(message, Made):
            try:
                self._journal.finish(film, message.fingerprint)
                self._end(Outcome(film, "made", figures=message.figures))
            except MyTalkError as error:
                self._end(Outcome(film, "failed", str(error)))
        elif isinstance(message, Whole):
            self._end(Outcome(film, "whole"))
        else:
            assert isinstance(message, Failed)
            self._end(Outcome(film, "failed", message.error))

    def _drop(self, worker: _Worker) -> str:
        """Removes a worker whose process ended, and says how."""
        self._workers.remove(worker)
        worker.process.join(_END)
        code = worker.process.exitcode
        worker.end()
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"

    def _end(self, outcome: Outcome) -> None:
        self.outcomes[outcome.film.output] = outcome
        self._watcher.film_ended(outcome)


def _serve(connection: Connection, start: Start, work: Path, settings: str) -> None:
    """Makes the films that come over a connection: the main thread of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's Ctrl-C: it ends its workers
    given: SimpleQueue[tuple[Film, str | None]] = SimpleQueue()
    Thread(target=_receive, args=(connection, given), daemon=True).start()
    dub: Dub | None = None
    while True:
        film, known = given.get()
        try:
            mark = fingerprint(film, settings)
            if mark == known:
                connection.send(Whole())
                continue
            dub = dub or start()
            figures = dub(film, work / film.output, lambda done, total: connection.send(Frames(done, total)))
            connection.send(Made(mark, figures))
        except (MyTalkError, OSError) as error:
            connection.send(Failed(str(error)))
        except Exception as error:
            connection.send(Failed(f"{film.picture}: unexpected: {type(error).__name__}: {error}".replace("\n", " ")))


def _receive(connection: Connection, given: SimpleQueue[tuple[Film, str | None]]) -> None:
    """Takes films from the parent, and ends this process when that is gone."""
    while True:
        try:
            given.put(connection.recv())
        except (EOFError, OSError):
            os._exit(1)
