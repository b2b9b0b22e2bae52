"""Lip-syncs several people of one film, each to a speech of their own."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mytalk.face import Face
from mytalk.lipsync_stream import LipSyncStream
from mytalk.picture import Picture, VideoFrame
from mytalk.speech.stream import EncodedSpeech

Faces = Mapping[int, Face]
"""The faces of one picture, by the number of their speaker."""


class CastStream:
    """Gives each speaker a `LipSyncStream` of the film's pictures, and puts together what they change.

    A speech has a column for each speaker. Pictures leave in order, each once all streams have given it. Where two
    mouths overlap, the later speaker's is seen. Threads may call as they may a `LipSyncStream`'s.
    """

    def __init__(self, streams: Sequence[LipSyncStream]) -> None:
        self._streams = streams
        self.latency = streams[0].latency
        self._given: deque[VideoFrame] = deque()
        self._made: list[deque[VideoFrame]] = [deque() for _ in streams]
        self._untouched = 0

    @property
    def stats(self) -> dict[str, float]:
        """Returns the sums over all streams; ``passthrough`` counts pictures in which nobody's mouth was made."""
        total: Counter[str] = Counter()
        for stream in self._streams:
            total.update(stream.stats)
        return {**total, "passthrough": float(self._untouched)}

    def track(self, picture: Picture) -> Faces | None:
        """Returns no faces: those of a cast are found before (`mytalk.studio.watch`)."""
        return None

    def encode_speech(self, samples: NDArray[np.float32]) -> list[EncodedSpeech]:
        """Encodes ``(n, speakers)``; ``(n,)`` is silence of all."""
        columns = samples.T if samples.ndim == 2 else [samples] * len(self._streams)
        pairs = zip(self._streams, columns, strict=True)
        return [stream.encode_speech(np.ascontiguousarray(column)) for stream, column in pairs]

    def push_encoded(self, encoded: Sequence[EncodedSpeech]) -> None:
        """Takes what ``encode_speech`` returned."""
        for stream, one in zip(self._streams, encoded, strict=True):
            stream.push_encoded(one)

    def enrol(self, pictures: list[tuple[Picture, Faces]]) -> None:
        """Learns the mouth of each speaker who is seen in these pictures."""
        for number, stream in enumerate(self._streams):
            seen = [(picture, faces[number]) for picture, faces in pictures if number in faces]
            if seen:
                stream.enrol(seen)

    def push_frame(self, frame: VideoFrame, face: Faces | None) -> None:
        """Takes the next picture, and the faces that were found in it."""
        self._given.append(frame)
        for number, stream in enumerate(self._streams):
            stream.push_frame(frame, None if face is None else face.get(number))

    def finish(self) -> None:
        """Ends the input."""
        for stream in self._streams:
            stream.finish()

    def pull(self) -> Iterator[VideoFrame]:
        """Yields pictures that every stream has given."""
        for stream, made in zip(self._streams, self._made, strict=True):
            made.extend(stream.pull())
        while all(self._made):
            given = self._given.popleft()
            pictures = [made.popleft().picture for made in self._made]
            picture = _joined(given.picture, pictures)
            self._untouched += picture is given.picture
            yield replace(given, picture=picture)

    def close(self) -> None:
        """Drops what the streams hold of the film."""
        for stream in self._streams:
            stream.close()


def _joined(before: Picture, after: Sequence[Picture]) -> Picture:
    """Puts what each picture changed into one."""
    changed = [picture for picture in after if picture is not before]
    if not changed:
        return before
    joined = changed[0]
    for picture in changed[1:]:
        columns = zip(*((one.y, one.u, one.v) for one in (before, joined, picture)), strict=True)
        y, u, v = (_overlaid(*planes) for planes in columns)
        joined = replace(joined, y=y, u=u, v=v)
    return joined


def _overlaid(before: NDArray[np.uint8], under: NDArray[np.uint8], over: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(over != before, over, under)
