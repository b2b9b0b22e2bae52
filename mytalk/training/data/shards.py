"""Reads and writes shards: tar files in WebDataset's naming, and a manifest of where in them every member of a clip
begins.

A clip is the members ``KEY.json``, ``KEY.mp4``, ``KEY.flac`` and ``KEY.npz``, one after the other in one tar, so that
any WebDataset reader takes a shard as a stream, and ``ClipStore`` reads single members by their offset.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from mytalk.errors import DataError
from mytalk.training.run.atomic_write import output_errors, write_text

MANIFEST = "manifest.jsonl"
SHARDS = "shards"
MEMBERS = ("json", "mp4", "flac", "npz")

_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)  # what ends an archive


@dataclass(frozen=True, slots=True)
class Entry:
    """Holds one clip of a data folder, without its contents: a line of the manifest."""

    key: str  # unique; what WebDataset calls __key__
    person: str
    source: str  # video, relative to the folder that was prepared
    start: float  # seconds into the source
    frames: int  # at 25 a second
    offset_ms: float  # by which the source's sound was late, and which was taken out; 0 where it is not known
    shard: str  # file name
    members: Mapping[str, tuple[int, int]] = field(hash=False)  # ending -> byte offset and size

    def line(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Entry:
        """Builds an entry. Raises KeyError, TypeError or ValueError where something is missing or of another kind."""
        members = {str(name): (int(place[0]), int(place[1])) for name, place in values["members"].items()}
        return cls(
            str(values["key"]),
            str(values["person"]),
            str(values["source"]),
            float(values["start"]),
            int(values["frames"]),
            float(values["offset_ms"]),
            str(values["shard"]),
            {name: members[name] for name in MEMBERS},
        )

    @property
    def end(self) -> int:
        """Returns where in the shard the next clip begins."""
        offset, size = self.members[MEMBERS[-1]]
        return offset + -(-size // _BLOCK) * _BLOCK


class ShardWriter:
    """Appends clips to the shards of a data folder; a shard that has reached ``shard_bytes`` is closed.

    ``resume`` takes what is known to be whole: whatever lies behind it in the folder was being written when an
    earlier run broke off, and is cut away.
    """

    def __init__(self, folder: Path, shard_bytes: int, resume: Iterable[Entry] = ()) -> None:
        self._folder = folder / SHARDS
        self._shard_bytes = shard_bytes
        self._file: BinaryIO | None = None
        ends: dict[str, int] = {}
        for entry in resume:
            ends[entry.shard] = max(ends.get(entry.shard, 0), entry.end)
        with output_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._cut(ends)
        self._number = max((int(name.split(".")[0]) for name in ends), default=-1) + 1

    def add(self, key: str, members: Mapping[str, bytes]) -> tuple[str, dict[str, tuple[int, int]]]:
        """Appends one clip. Returns the shard's name and the places of its members.

        Raises OutputError, or OutputFullError where the disk is full.
        """
        with output_errors(self._folder):
            file = self._open()
            places = {}
            for name in MEMBERS:
                info = tarfile.TarInfo(f"{key}.{name}")
                info.size = len(members[name])
                file.write(info.tobuf(tarfile.USTAR_FORMAT))
                places[name] = (file.tell(), info.size)
                file.write(members[name] + bytes(-info.size % _BLOCK))
        return Path(file.name).name, places

    def flush(self) -> None:
        """Writes all that was added to the disk before it returns."""
        if self._file is not None:
            with output_errors(self._folder):
                self._file.flush()
                os.fsync(self._file.fileno())
                if self._file.tell() >= self._shard_bytes:
                    self.close()

    def close(self) -> None:
        """Ends the open shard."""
        if self._file is not None:
            with output_errors(self._folder), self._file as file:
                file.write(_END)
            self._file = None

    def _open(self) -> BinaryIO:
        if self._file is None:
            self._file = (self._folder / f"{self._number:06}.tar").open("xb")
            self._number += 1
        return self._file

    def _cut(self, ends: Mapping[str, int]) -> None:
        for path in sorted(self._folder.glob("*.tar")):
            if path.name not in ends:
                path.unlink()
            elif path.stat().st_size != ends[path.name] + len(_END):
                with path.open("r+b") as file:
                    file.truncate(ends[path.name])
                    file.seek(0, os.SEEK_END)
                    file.write(_END)


def write_manifest(folder: Path, entries: Iterable[Entry]) -> None:
    """Replaces the manifest of a data folder, all at once."""
    write_text(folder / MANIFEST, "".join(f"{entry.line()}\n" for entry in entries))


def read_manifest(folder: Path) -> list[Entry]:
    """Reads the clips of a data folder, in order of their keys.

    Raises DataError where there is no manifest, or one that is damaged: it names the line.
    """
    path = folder / MANIFEST
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise DataError(
            f"{folder}: no {MANIFEST} in it (make it with mytalk train prepare VIDEO_FOLDER -o DATA)"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(Entry.from_json(json.loads(line)))
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise DataError(f"{path}: line {number} is damaged ({error}): prepare the folder again") from error
    return sorted(entries, key=lambda entry: entry.key)


def read_member(folder: Path, entry: Entry, name: str) -> bytes:
    """Reads the bytes of one member. Opens the shard anew, so that it may be called in any process and thread.

    Raises DataError where the shard is missing, or ends before the member does.
    """
    path = folder / SHARDS / entry.shard
    offset, size = entry.members[name]
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(size)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}): prepare the folder again") from error
    if len(data) != size:
        raise DataError(f"{path}: ends inside {entry.key}.{name}: it is damaged; prepare the folder again")
    return data
