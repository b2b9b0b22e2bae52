"""Keeps a recording under a hidden name until it is complete, or has ended early."""

from __future__ import annotations

from contextlib import suppress
from io import FileIO
from pathlib import Path
from tempfile import TemporaryFile

import av

from mytalk.errors import ServerError


class RecordingFile:
    """Writes the file ``.NAME.part`` beside ``target``, which gets its name at the end. Used by one thread."""

    def __init__(self, target: Path) -> None:
        self.failure: OSError | None = None  # of a write: PyAV loses it
        self._target = target
        self._part = target.with_name(f".{target.name}.part")
        self._file = FileIO(self._part, "w")
        self.seek, self.tell = self._file.seek, self._file.tell

    def write(self, data: bytes) -> int:
        """Writes all of ``data``. Raises ``OSError``, on a full disk for example, and from then on: a file with a hole
        would not play."""
        if self.failure is not None:
            raise self.failure
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self.failure = error
            raise
        return len(data)

    def keep(self) -> None:
        """Closes the file and gives it its name."""
        self._file.close()
        self._part.rename(self._target)

    def keep_what_plays(self) -> bool:
        """Does the same after an early end, where there is a picture in it; deletes it otherwise."""
        self._file.close()
        playable = _has_picture(self._part)
        if playable:
            self._part.rename(self._target)
        else:
            self._part.unlink()
        return playable


def make_folder(recordings: Path | None) -> None:
    """Makes the folder of recordings. Raises ``ServerError`` where nothing can be written into it."""
    if recordings is None:
        return
    try:
        recordings.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=recordings):
            pass
    except OSError as error:
        raise ServerError(f"--recordings {recordings}: {error.strerror} (need a folder to write into)") from error


def _has_picture(path: Path) -> bool:
    with suppress(av.FFmpegError), path.open("rb") as file, av.open(file, "r") as opened:
        return any(packet.size for packet in opened.demux(opened.streams.video))
    return False
