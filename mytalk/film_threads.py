"""Runs the three threads that make a film: by the live path, without its pacer.

::

    reading thread                        this thread       writing thread
    decode, find the face, hear speech -> motion, pixels -> encode
                                 ``tracked``       ``finished``

Both channels are bounded. When one is full the thread before it waits: nothing is dropped, and memory does not grow
with the length of the film. What fails in any thread stops all three, and is raised once, here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, count
from threading import Thread
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mytalk.errors import NoFaceError
from mytalk.face.tracker import MIN_FACE_PIXELS
from mytalk.media import FaceSource, FilmWriter, SpeechReader
from mytalk.media.face_source import CACHE_BYTES, picture_bytes
from mytalk.media.span import Span
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.picture import Picture, VideoFrame
from mytalk.runtime.channel import Channel, ChannelClosed
from mytalk.speech.feed import SpeechFeed

Length = Literal["video", "speech", "shortest"]
Progress = Callable[[int, int | None], None]
"""Called with the frames done and, where it is known, how many there will be."""

ENROL_SAMPLES = 3 * SAMPLE_RATE
"""Media time of a video that is read ahead to learn its mouth before the first frame is rendered."""

CUT_UNTOLD = Fraction(1, 10)
"""Seconds of speech that a film may leave out at its end without a warning: codecs pad their last frame."""

_SOUND: dict[Length, Literal["fill", "whole", "cut"]] = {"video": "fill", "speech": "whole", "shortest": "cut"}
_STOP_TIMEOUT = 30  # a thread that does not end within this is left behind


class FilmStream(Protocol):
    """Lip-syncs a film as `mytalk.lipsync_stream.LipSyncStream` does; of a cast, a face is one of each speaker."""

    latency: int

    @property
    def stats(self) -> dict[str, float]: ...

    def track(self, picture: Picture) -> Any: ...

    def encode_speech(self, samples: NDArray[np.float32]) -> Any: ...

    def enrol(self, pictures: list[tuple[Picture, Any]]) -> None: ...

    def push_frame(self, frame: VideoFrame, face: Any) -> None: ...

    def push_encoded(self, encoded: Any) -> None: ...

    def finish(self) -> None: ...

    def pull(self) -> Iterator[VideoFrame]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Tracked:
    """Holds a picture that was read, and the speech that it needs beyond that of those before it."""

    frame: VideoFrame
    face: Any  # of the stream's own kind; None: there is none
    speech: list[Any]


class FilmThreads:
    """Runs the three threads of one film."""

    def __init__(
        self,
        stream: FilmStream,
        face: FaceSource,
        speech: SpeechReader,
        writer: FilmWriter,
        length: Length,
        progress: Progress | None,
        only: Sequence[Span],
        faces: Sequence[Any] | None = None,
    ) -> None:
        """``faces``: those of the film's pictures in order, where they were found before."""
        self._only, self._known_faces = only, faces
        self._stream, self._face, self._writer, self._length = stream, face, writer, length
        self._speech = SpeechFeed(stream.encode_speech, speech)
        self._progress = progress or (lambda done, total: None)
        self._expected = _expected_frames(face, speech, length)
        self._max_ahead = max(2, CACHE_BYTES // picture_bytes(face.info))  # pictures read ahead
        depth = max(2, min(8, self._max_ahead // 4))
        self._tracked: Channel[Tracked] = Channel(depth)  # full: reading waits
        self._finished: Channel[VideoFrame] = Channel(depth)  # full: rendering waits
        self._failure: BaseException | None = None
        self._faces = 0
        self.written = 0
        self.film_seconds = Fraction(0)
        self.decode_ms = self.encode_ms = 0.0

    def cut_warning(self) -> str | None:
        """Returns what to tell of a speech that goes on where the film ends; None where it does not."""
        if self._length != "video":
            return None
        spoken, film = self._speech.seconds(), self.film_seconds
        if spoken - film <= CUT_UNTOLD:
            return None
        return (
            f"{self._speech.path}: its last {float(spoken - film):.2f} s of {float(spoken):.2f} s are left out: "
            f"the film ends after {float(film):.2f} s (--length speech makes it as long as the speech)"
        )

    def run(self) -> None:
        """Runs all threads to the end, and raises the first failure."""
        threads = [
            Thread(target=self._guard, args=(self._read,), name="dub: read", daemon=True),
            Thread(target=self._guard, args=(self._write,), name="dub: write", daemon=True),
        ]
        try:
            for thread in threads:
                thread.start()
            self._guard(self._render)
            self._tracked.close()  # an endless source would go on
            threads[1].join()
        finally:
            self._stop()
            for thread in threads:
                if thread.ident is not None:  # a signal may come between the two
                    thread.join(_STOP_TIMEOUT)
            self._stream.close()
        if self._failure is not None:
            raise self._failure

    def _guard(self, work: Callable[[], None]) -> None:
        """Runs one thread's work. The first failure is kept, and stops all threads."""
        try:
            work()
        except ChannelClosed:
            pass  # another thread is done, or failed
        except Exception as error:
            self._failure = self._failure or error
            self._stop()

    def _stop(self) -> None:
        self._tracked.close()
        self._finished.close()

    def _read(self) -> None:
        """Reads pictures, tracks their faces and encodes their speech: the reading thread."""
        frames = self._face.frames(endless=self._length == "speech")
        known = None if self._length == "speech" else self._known_faces
        for number in count():
            start = time.perf_counter()
            frame = next(frames, None)
            self.decode_ms += (time.perf_counter() - start) * 1e3
            if frame is None:
                break
            face = None
            if self._is_chosen(frame):
                face = self._stream.track(frame.picture) if known is None else known[number]
            if self._length != "video" and self._speech.has_ended(frame.at):
                break
            speech = self._speech.encode_until(frame.at + self._stream.latency + FRAME_SAMPLES)
            self._tracked.put(Tracked(frame, face, speech))
        self._tracked.end()

    def _is_chosen(self, frame: VideoFrame) -> bool:
        """Says whether the film is dubbed at this frame."""
        return not self._only or any(frame.pts * frame.time_base in span for span in self._only)

    def _render(self) -> None:
        """Renders pictures: this thread, the engine."""
        tracked = iter(self._tracked)
        last: VideoFrame | None = None
        for one in chain(self._enrol(tracked), tracked):
            self._faces += one.face is not None
            self._stream.push_frame(one.frame, one.face)
            self._push(one.speech)
            self._emit()
            last = one.frame
        if last is None or self._faces == 0:
            raise self._no_face()
        self._push(self._speech.rest())
        self._stream.finish()
        self._emit()
        self._finished.end()
        self.film_seconds = (last.pts + self._face.info.interval) * last.time_base

    def _push(self, speech: list[Any]) -> None:
        for part in speech:
            self._stream.push_encoded(part)

    def _enrol(self, tracked: Iterator[Tracked]) -> list[Tracked]:
        """Reads ahead, and enrols the person seen there."""
        ahead: list[Tracked] = []
        for one in tracked:
            ahead.append(one)
            if self._face.still or one.frame.at >= ENROL_SAMPLES or len(ahead) >= self._max_ahead:
                break
        seen = [(one.frame.picture, one.face) for one in ahead if one.face is not None]
        if self._face.still and not seen:
            raise self._no_face()
        if seen:
            self._stream.enrol(seen)
        return ahead

    def _emit(self) -> None:
        for frame in self._stream.pull():
            self._finished.put(frame)
            self.written += 1
            self._progress(self.written, self._expected)

    def _write(self) -> None:
        """Encodes finished pictures: the writing thread."""
        for frame in self._finished:
            start = time.perf_counter()
            self._writer.write(frame)
            self.encode_ms += (time.perf_counter() - start) * 1e3
        self._writer.finish(sound=_SOUND[self._length])

    def _no_face(self) -> NoFaceError:
        where = "in it" if self._face.still else "in any frame"
        need = f"need one at least {MIN_FACE_PIXELS} px wide, seen from the front, not upside down"
        return NoFaceError(f"{self._face.name}: no face found {where} ({need})")


def _expected_frames(face: FaceSource, speech: SpeechReader, length: Length) -> int | None:
    """Returns how many frames the film will have, as far as headers tell."""
    video = face.info.frames
    spoken = None if speech.stated_seconds is None else math.ceil(speech.stated_seconds * face.info.rate)
    if length == "video":
        return video
    if length == "speech" or video is None:
        return spoken
    return video if spoken is None else min(video, spoken)
