"""Records what a preparation has done so far: one line a finished part of a video, so that a run goes on where
another stopped.

A line is written after the clips it names are safely in their shard. A line that was being written when the program
was killed does not count, and neither do the clips it would have named.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from mytalk.errors import DataError, OptionError, OutputError
from mytalk.training.data.screening import Reason
from mytalk.training.data.shards import Entry
from mytalk.training.run.atomic_write import output_errors

JOURNAL = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Holds a stretch of a video that was left out."""

    source: str
    start: float  # seconds
    end: float
    reason: Reason
    detail: str = ""

    def row(self) -> str:
        return f"{self.source}\t{self.start:.2f}\t{self.end:.2f}\t{self.reason.value}\t{self.detail}"


@dataclass(frozen=True, slots=True)
class Done:
    """Holds one finished part of a video."""

    source: str
    part: int
    parts: int
    clips: tuple[Entry, ...]
    rejected: tuple[Rejection, ...]
    seconds: float  # of video
    work: float  # seconds of processor

    def line(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Done:
        return cls(
            values["source"],
            values["part"],
            values["parts"],
            tuple(Entry.from_json(one) for one in values["clips"]),
            tuple(Rejection(**{**one, "reason": Reason(one["reason"])}) for one in values["rejected"]),
            values["seconds"],
            values["work"],
        )


class Journal:
    """Keeps the finished parts of a data folder. One process at a time holds it.

    Raises OptionError where the folder was begun with other options, OutputError where it is in use or cannot be
    written, DataError where a line in its middle is damaged.
    """

    def __init__(self, folder: Path, options: Mapping[str, Any]) -> None:
        self._path = folder / JOURNAL
        self.done: list[Done] = []
        with output_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+b")
        try:
            _lock(self._file.fileno(), folder)
            self._read(options)
        except BaseException:
            self._file.close()
            raise

    def add(self, done: Done) -> None:
        """Records a finished part, whatever happens from now on."""
        self._write(done.line())
        self.done.append(done)

    def entries(self) -> Iterator[Entry]:
        for done in self.done:
            yield from done.clips

    def rejected(self) -> Iterator[Rejection]:
        for done in self.done:
            yield from done.rejected

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _read(self, options: Mapping[str, Any]) -> None:
        self._file.seek(0)
        data = self._file.read()
        whole = data.rfind(b"\n") + 1
        with output_errors(self._path):
            self._file.truncate(whole)
        lines = data[:whole].decode("utf-8", "replace").splitlines()
        if not lines:
            self._write(json.dumps({"options": options}, ensure_ascii=False))
            return
        try:
            before = json.loads(lines[0])["options"]
            self.done = [Done.from_json(json.loads(line)) for line in lines[1:]]
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{self._path}: damaged ({error}): prepare into another folder") from error
        changed = [name for name in options if before.get(name) != options[name]]
        if changed:
            name = changed[0]
            raise OptionError(
                f"{self._path.parent}: was begun with {name} {before.get(name)!r}, not {options[name]!r}: "
                "give the same options, or another folder"
            )

    def _write(self, line: str) -> None:
        with output_errors(self._path):
            self._file.write(f"{line}\n".encode())
            self._file.flush()
            os.fsync(self._file.fileno())


def _lock(file: int, folder: Path) -> None:
    """Locks a file until it is closed, however the process ends. Without a lock where the system knows none."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise OutputError(f"{folder}: another mytalk train prepare is writing to it (wait, or stop it)") from error
