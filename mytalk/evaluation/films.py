"""Reads films on one clock: pictures and sound of a file, and two files side by side."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mytalk.errors import NoSpeechError
from mytalk.evaluation.moment import Pair
from mytalk.face import FaceTracker
from mytalk.media import SpeechReader, VideoReader
from mytalk.media.decoder import Decoder
from mytalk.media.face_source import StillSource
from mytalk.media.video import VideoInfo
from mytalk.media_time import SAMPLE_RATE, to_samples
from mytalk.picture import VideoFrame

Sound = NDArray[np.float32]  # (S,) 16 kHz mono


class Pictures(Protocol):
    """Yields pictures over media time, and gives what a writer needs to write the like."""

    path: Path
    name: str
    still: bool  # one picture for ever

    @property
    def info(self) -> VideoInfo: ...

    @property
    def seconds(self) -> Fraction | None: ...

    def frames(self) -> Iterator[VideoFrame]: ...


class Portrait:
    """Shows an image, 25 times a second for as long as it is asked. Raises UnreadableError."""

    still = True
    seconds: Fraction | None = None

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.stem
        self._source = StillSource(VideoReader(path).image_picture(), str(path))

    @property
    def info(self) -> VideoInfo:
        return self._source.info

    def frames(self) -> Iterator[VideoFrame]:
        return self._source.frames()


class Film:
    """Reads a file's pictures; media time 0 is the first sample of its sound, where it has any.

    Raises UnreadableError: no such file, or no picture in it.
    """

    still = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.stem
        self.reader = VideoReader(path)
        self._ahead = _sound_first(path)

    @property
    def info(self) -> VideoInfo:
        return self.reader.info

    @property
    def expected_frames(self) -> int | None:
        """Returns the number of frames as the header says."""
        return self.reader.info.frames

    @property
    def seconds(self) -> Fraction | None:
        """Returns the length as the header says."""
        frames = self.reader.info.frames
        return None if frames is None else frames / self.reader.info.rate

    def frames(self) -> Iterator[VideoFrame]:
        """Yields pictures in order, from the sound's first sample on."""
        for frame in self.reader.frames():
            if frame.at + self._ahead >= 0:
                yield replace(frame, at=frame.at + self._ahead)

    def sound(self) -> Sound | None:
        """Reads 16 kHz mono; None where the file has no sound."""
        try:
            chunks = list(SpeechReader(self.path).samples())
        except NoSpeechError:
            return None
        return np.concatenate(chunks) if chunks else None


def side_by_side(generated: Film, true: Film) -> Iterator[Pair]:
    """Pairs each picture of ``generated`` with the picture of ``true`` nearest in time, until one of the films ends."""
    tracker = FaceTracker()
    shown = to_samples(true.reader.info.interval, true.reader.info.time_base)  # how long a picture lasts
    filmed = true.frames()
    now = next(filmed, None)
    after = next(filmed, None)
    face = None if now is None else tracker(now.picture)
    for frame in generated.frames():
        while now is not None and after is not None and abs(after.at - frame.at) <= abs(now.at - frame.at):
            now, after = after, next(filmed, None)
            face = tracker(now.picture)
        if now is None or (after is None and frame.at - now.at >= shown):
            return
        yield Pair(now, frame, face)


def _sound_first(path: Path) -> int:
    """Returns samples by which the first picture comes after the first sound."""
    starts: dict[str, Fraction] = {}
    with Decoder(path, "video") as pictures:
        first = next(pictures.video_frames(), None)
        if first is not None and first.pts is not None and first.time_base is not None:
            starts["video"] = first.pts * first.time_base
    with suppress(NoSpeechError), Decoder(path, "audio") as sound:
        reference = next(sound.audio_frames(), None)
        if reference is not None and reference.pts is not None and reference.time_base is not None:
            starts["audio"] = reference.pts * reference.time_base
    if len(starts) < 2:
        return 0
    return round((starts["video"] - starts["audio"]) * SAMPLE_RATE)
