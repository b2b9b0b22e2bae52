"""Reads prepared clips for training: any clip, in any order, without unpacking the shards.

store = ClipStore(Path("data"), hold_out=("grid_s1",))
store.landmarks(0).canonical    # (T, 478, 3)
store.sound(0)                  # (640 * T,)
store.faces(0, [3, 7, 20])      # (3, 256, 256, 3)
"""

from __future__ import annotations

import json
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar, cast

import av
import numpy as np
from numpy.typing import NDArray

from mytalk.errors import DataError
from mytalk.media_time import FRAME_SAMPLES
from mytalk.training.data.clip_members import Landmarks, read_landmarks, read_pictures, read_sound
from mytalk.training.data.shards import Entry, read_manifest, read_member

T = TypeVar("T", NDArray[np.float32], Landmarks, bytes)

_DAMAGE = (ValueError, KeyError, IndexError, OSError, EOFError, zipfile.BadZipFile, av.FFmpegError)


class ClipStore:
    """Reads the clips of one or more data folders, in order of their keys (one folder after the other).

    ``hold_out`` names people or clips (by key) that are kept for validation: left out here, or, with ``held_out``,
    the only ones that are in. Memory holds one manifest line a clip, and at most ``cache_bytes`` of clips used last.
    Copies of a store may be used in any number of processes, forked or spawned: none keeps a file open.

    Raises DataError where a folder holds nothing usable, and, from every reading method, where a clip is damaged.
    """

    def __init__(
        self,
        data: Path | Sequence[Path],
        *,
        hold_out: Collection[str] = (),
        held_out: bool = False,
        cache_bytes: int = 256 * 2**20,
    ) -> None:
        self.folders = [data] if isinstance(data, Path) else list(data)
        placed = [(folder, entry) for folder in self.folders for entry in read_manifest(folder)]
        known = {name for _, entry in placed for name in (entry.person, entry.key)}
        unknown = sorted(set(hold_out) - known)
        if unknown:
            people = sorted({entry.person for _, entry in placed})
            raise DataError(
                f"held out {', '.join(unknown)}: neither a person nor a clip in it (people: {_few(people)})"
            )
        names = set(hold_out)
        placed = [pair for pair in placed if bool({pair[1].person, pair[1].key} & names) == held_out]
        if not placed:
            where = ", ".join(map(str, self.folders))
            what = "no clip is held out" if held_out else "every clip is held out" if names else "no usable clip in it"
            raise DataError(f"{where}: {what} (need at least one; rejected.tsv says why clips were rejected)")
        self.entries: list[Entry] = [entry for _, entry in placed]
        self.people: list[str] = sorted({entry.person for entry in self.entries})
        self._folder_of = [folder for folder, _ in placed]
        self._cache_bytes = cache_bytes
        self._cache: OrderedDict[tuple[int, str], NDArray[np.float32] | Landmarks | bytes] = OrderedDict()
        self._cached = 0

    def __len__(self) -> int:
        return len(self.entries)

    def landmarks(self, index: int) -> Landmarks:
        """Reads landmarks and poses of every frame. Not to be written to."""
        landmarks = self._read(index, "npz", read_landmarks)
        self._check_length(index, len(landmarks.canonical), self.entries[index].frames, "frames of landmarks")
        return landmarks

    def sound(self, index: int) -> NDArray[np.float32]:
        """Reads 16 kHz mono ``(640 * T,)``: sample ``640 * n`` belongs to frame n. Not to be written to."""
        sound = self._read(index, "flac", read_sound)
        self._check_length(index, len(sound), self.entries[index].frames * FRAME_SAMPLES, "samples")
        return sound

    def faces(self, index: int, frames: slice | Sequence[int]) -> NDArray[np.uint8]:
        """Decodes aligned faces ``(n, S, S, 3)`` RGB, in the order asked for. Negative numbers count from the end.
        Raises IndexError for a frame that the clip does not have.

        Raises IndexError for a frame that the clip does not have.
        """
        count = self.entries[index].frames
        numbers = range(count)[frames] if isinstance(frames, slice) else [range(count)[int(one)] for one in frames]
        data = self._read(index, "mp4", _same)
        try:
            return read_pictures(data, numbers)
        except _DAMAGE as error:
            raise self._damaged(index, "mp4", error) from error

    def about(self, index: int) -> dict[str, Any]:
        """Reads what is recorded of the clip: person, source, offset and its confidence, rate and face size of the
        source."""
        data = read_member(self._folder_of[index], self.entries[index], "json")
        try:
            return cast(dict[str, Any], json.loads(data))
        except ValueError as error:
            raise self._damaged(index, "json", error) from error

    def member(self, index: int, name: str) -> BytesIO:
        """Reads one member of a clip as it is stored: ``mp4``, ``flac``, ``npz`` or ``json``."""
        return BytesIO(read_member(self._folder_of[index], self.entries[index], name))

    def __getstate__(self) -> dict[str, Any]:
        """Copies to another process with an empty cache."""
        return {**self.__dict__, "_cache": OrderedDict(), "_cached": 0}

    def _read(self, index: int, name: str, decode: Callable[[bytes], T]) -> T:
        position = index, name
        if position in self._cache:
            self._cache.move_to_end(position)
            return cast(T, self._cache[position])
        data = read_member(self._folder_of[index], self.entries[index], name)
        try:
            value = decode(data)
        except _DAMAGE as error:
            raise self._damaged(index, name, error) from error
        self._cache[position] = value
        self._cached += _size(value)
        while self._cached > self._cache_bytes and len(self._cache) > 1:
            self._cached -= _size(self._cache.popitem(last=False)[1])
        return value

    def _check_length(self, index: int, have: int, want: int, what: str) -> None:
        if have != want:
            raise self._damaged(index, "", ValueError(f"{have} {what} where there should be {want}"))

    def _damaged(self, index: int, name: str, error: Exception) -> DataError:
        entry = self.entries[index]
        member = f"{entry.key}.{name}".rstrip(".")
        return DataError(f"{self._folder_of[index]}: {member} in {entry.shard} is damaged ({error}): prepare it again")


def _same(data: bytes) -> bytes:
    return data


def _size(value: NDArray[np.float32] | Landmarks | bytes) -> int:
    return len(value) if isinstance(value, bytes) else value.nbytes


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
