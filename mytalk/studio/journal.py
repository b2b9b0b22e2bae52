"""Remembers which films of a folder are whole, so that work that broke off goes on where it was."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from mytalk.errors import OutputError
from mytalk.studio.manifest import Film

FOLDER = ".mytalk"
"""Folder within the output folder: the journal, and films that are not whole yet."""

_BLOCK = 1 << 20  # bytes read at once


@dataclass(frozen=True, slots=True)
class Record:
    """Says of what a film was made, and how to tell that it is still the one that was made."""

    output: str
    fingerprint: str
    size: int  # bytes
    modified: int  # nanoseconds


def fingerprint(film: Film, settings: str) -> str:
    """Returns a hash of all that a film is made of: both files, and the ``settings``. Raises OSError."""
    whole = hashlib.sha256(settings.encode())
    for path in (film.picture, film.speech):
        with path.open("rb") as file:
            one = hashlib.sha256()
            while block := file.read(_BLOCK):
                one.update(block)
        whole.update(one.digest())
    return whole.hexdigest()


class Journal:
    """Keeps the records of one output folder, for one program at a time.

    A film is made in ``work``, recorded, and moved to its name, in that order: whenever the program ends, each film
    under its own name is whole, and recorded. ``work`` is emptied when the journal is opened. Raises OutputError.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder, folder / FOLDER
        self._path = self.work / "films.jsonl"
        try:
            self.work.mkdir(parents=True, exist_ok=True)
            self._lock: IO[str] = (self.work / "lock").open("w")
        except OSError as error:
            raise OutputError(f"{folder}: no films can be written there ({error.strerror})") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise OutputError(
                f"{folder}: another mytalk writes films there (let it end, or give another folder)"
            ) from error
        self._records = self._read()
        self._complete()
        self.clear()

    def find(self, film: Film) -> Record | None:
        """Returns the record of a film that is whole under its name; None where it is not."""
        record = self._records.get(film.output)
        try:
            found = (self.folder / film.output).stat()
        except OSError:
            return None
        whole = record is not None and (found.st_size, found.st_mtime_ns) == (record.size, record.modified)
        return record if whole else None

    def finish(self, film: Film, mark: str) -> None:
        """Records a film that is whole in ``work`` with its fingerprint, and gives it its name. Raises OutputError."""
        made = self.work / film.output
        try:
            found = made.stat()
            record = Record(film.output, mark, found.st_size, found.st_mtime_ns)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(record)) + "\n")
                file.flush()
                os.fsync(file.fileno())
            made.replace(self.folder / film.output)
        except OSError as error:
            raise OutputError(f"{self.folder / film.output}: cannot be written ({error.strerror})") from error
        self._records[film.output] = record

    def clear(self) -> None:
        """Removes films that were not finished."""
        for path in self.work.iterdir():
            if path.is_file() and path.name not in ("lock", self._path.name):
                path.unlink()

    def close(self) -> None:
        """Lets another program use the folder."""
        self._lock.close()

    def _complete(self) -> None:
        """Moves films to their names that were recorded, and whose program ended before it moved them."""
        for record in self._records.values():
            made = self.work / record.output
            if made.is_file() and (made.stat().st_size, made.stat().st_mtime_ns) == (record.size, record.modified):
                made.replace(self.folder / record.output)

    def _read(self) -> dict[str, Record]:
        """Reads all records; a last line that broke off is none."""
        records: dict[str, Record] = {}
        if not self._path.exists():
            return records
        text = self._path.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            try:
                record = Record(**json.loads(line))
            except (ValueError, TypeError):
                continue
            records[record.output] = record
        if text and not text.endswith("\n"):
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n")
        return records
