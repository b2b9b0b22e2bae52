"""Stands in for the models where many films are dubbed: it copies the speech, and does as the film's name says."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mytalk.errors import NoFaceError
from mytalk.studio.batch import Dub, Outcome
from mytalk.studio.manifest import Film

PATIENCE = 60  # seconds


@dataclass(frozen=True)
class FakeStart:
    """``log``: a line for each film that was made, with the process's number. Films whose names begin with ``held``
    wait until ``gate`` is there; ``broken`` ones are refused, ``deadly`` ones end their process."""

    log: Path
    gate: Path

    def __call__(self) -> Dub:
        def dub(film: Film, output: Path, progress: Callable[[int, int | None], None]) -> dict[str, Any]:
            name = film.picture.name
            if name.startswith("broken"):
                raise NoFaceError(f"{film.picture}: no face found")
            if name.startswith("deadly"):
                os.kill(os.getpid(), signal.SIGKILL)
            progress(1, 2)
            output.write_bytes(film.speech.read_bytes()[:1])
            if name.startswith("held"):
                self._note("waits", film)
                end = time.monotonic() + PATIENCE
                while not self.gate.exists() and time.monotonic() < end:
                    time.sleep(0.01)
            output.write_bytes(film.speech.read_bytes())
            self._note("made", film)
            progress(2, 2)
            return {"frames": 2}

        return dub

    def _note(self, what: str, film: Film) -> None:
        with self.log.open("a") as file:
            file.write(f"{what} {film.output} {os.getpid()}\n")


@dataclass
class Watched:
    """Keeps what a batch tells."""

    moved: list[tuple[str, int, int | None]] = field(default_factory=list)
    ended: list[Outcome] = field(default_factory=list)

    def film_moved(self, film: Film, done: int, total: int | None) -> None:
        self.moved.append((film.output, done, total))

    def film_ended(self, outcome: Outcome) -> None:
        self.ended.append(outcome)

    def check(self) -> None:
        pass


def write_films(folder: Path, names: list[str]) -> list[Film]:
    """Pairs of files that are no films, with a speech of their own each."""
    folder.mkdir(exist_ok=True)
    films = []
    for name in names:
        picture, speech = folder / f"{name}.mp4", folder / f"{name}.wav"
        picture.write_text(f"picture of {name}")
        speech.write_text(f"speech of {name}")
        films.append(Film(picture, speech, f"{name}.mp4"))
    return films
