"""Reads faces from a stored clip or a still image, played once or for as long as the caller asks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from mytalk.media.video import Colour, VideoInfo, VideoReader
from mytalk.media_time import FRAME_SAMPLES, MOTION_RATE, to_samples
from mytalk.picture import Picture, VideoFrame

CACHE_BYTES = 128 * 1024 * 1024
"""Bytes of decoded pictures that a source or a driver may hold at once."""


class FaceSource(ABC):
    """Yields upright pictures in order, from media time 0.

    ``still`` says that every frame shows the same ``Picture`` object; ``name`` is what errors call it. Used by one
    thread at a time.
    """

    name: str
    info: VideoInfo
    still: bool
    warnings: list[str]

    @property
    def transparent(self) -> bool:
        """Says whether its pictures show a person before nothing, for outputs that can be transparent."""
        return False

    @abstractmethod
    def frames(self, *, endless: bool) -> Iterator[VideoFrame]:
        """Plays from the start: once, or (``endless``) until the caller stops asking."""


class StillSource(FaceSource):
    """Shows one picture 25 times a second. It has no length of its own: it always plays on."""

    def __init__(self, picture: Picture, name: str = "portrait", warnings: list[str] | None = None) -> None:
        self.picture = picture
        self.name = name
        self.still = True
        self.warnings = warnings or []
        self.info = VideoInfo(
            width=picture.width,
            height=picture.height,
            time_base=Fraction(1, MOTION_RATE),
            interval=1,
            rate=Fraction(MOTION_RATE),
            frames=None,
            colour=Colour.of(picture),
        )

    @property
    def transparent(self) -> bool:
        return self.picture.matte is not None and self.picture.matte.kept

    def frames(self, *, endless: bool = True) -> Iterator[VideoFrame]:
        """Yields the picture until the caller stops asking."""
        pts = 0
        while True:
            yield VideoFrame(self.picture, pts * FRAME_SAMPLES, pts, self.info.time_base)
            pts += 1


class ClipSource(FaceSource):
    """Plays a video once, or ping-pong: forward to its last frame, backward to its first, and so on.

    A frame at which the clip turns is shown once. The way back keeps the intervals of the way there, so timestamps
    go on at the source's own rate. Memory is bounded: the way back is decoded in pieces of ``cache_bytes``, each from
    the key frame before it; a clip that fits into the cache is decoded once.
    """

    def __init__(self, reader: VideoReader, cache_bytes: int = CACHE_BYTES) -> None:
        self.reader = reader
        self.name = str(reader.path)
        self.still = False
        self.info = reader.info
        self.warnings = reader.warnings
        self.room = max(2, cache_bytes // picture_bytes(reader.info))  # pictures

    def frames(self, *, endless: bool = False) -> Iterator[VideoFrame]:
        """Plays from the start: once, or (``endless``) until the caller stops asking."""
        tail: deque[Picture] = deque(maxlen=self.room)  # the newest pictures: where the way back begins
        pts = 0
        for frame in self.reader.frames():
            pts = frame.pts
            if endless:
                tail.append(frame.picture)
            yield frame
        stamps = self.reader.stamps
        if not endless or not stamps:
            return
        at = len(stamps) - 1
        for index, picture in self._onward(tail):
            pts += abs(stamps[index] - stamps[at]) or self.info.interval
            at = index
            yield VideoFrame(picture, to_samples(pts, self.info.time_base), pts, self.info.time_base)

    def _onward(self, tail: deque[Picture]) -> Iterator[tuple[int, Picture]]:
        """Yields frame numbers and pictures from the first turn on, for ever."""
        count = len(self.reader.stamps)
        if count <= len(tail):
            yield from self._from_memory(list(tail))
        while True:
            yield from self._backward(count, tail)
            for index, frame in enumerate(self.reader.frames()):
                tail.append(frame.picture)
                if index:
                    yield index, frame.picture

    @staticmethod
    def _from_memory(pictures: list[Picture]) -> Iterator[tuple[int, Picture]]:
        count = len(pictures)
        while True:
            for index in [*range(count - 2, -1, -1), *range(1, count)] or [0]:
                yield index, pictures[index]

    def _backward(self, count: int, tail: deque[Picture]) -> Iterator[tuple[int, Picture]]:
        """Plays from the last frame but one to the first. Empties ``tail``, which holds the newest pictures."""
        tail.pop()  # the turn, shown already
        index = count - 2
        while tail:
            yield index, tail.pop()
            index -= 1
        while index >= 0:
            piece = self.reader.span(max(0, index - self.room + 1), index)
            while piece:
                yield index, piece.pop()
                index -= 1


def open_face(path: Path, *, stored: bool = False) -> FaceSource:
    """Opens a video as a ``ClipSource``, an image (or a video of one single frame) as a ``StillSource``.

    ``stored``: as for ``VideoReader``. Raises ``UnreadableError``.
    """
    reader = VideoReader(path, stored=stored)
    if reader.image or reader.single:
        return StillSource(reader.image_picture(), str(path), reader.warnings)
    return ClipSource(reader)


def picture_bytes(info: VideoInfo) -> int:
    """Returns the memory of one decoded picture: planar 4:2:0, 8 bit, and what its file stores of it where kept."""
    return info.width * info.height * 3 // 2 + (0 if info.stored is None else info.stored.bytes)
