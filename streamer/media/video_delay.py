"""Aligns dubbed speech with the pictures that it belongs to, which were filmed seconds before it came. Sans-IO.

A translation takes seconds. So the pictures of such a session are held for ``video_delay``, and leave as if they had
been filmed so much later; the engine and the pacer know nothing of it. Speech that names the media time of its picture
lands beside that picture. Speech that names none is played as it arrives, after what waits already.

Speech that comes after its time is cut, never moved: what should have been heard already is dropped and counted, the
rest is in its place.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from mytalk.media_time import SAMPLE_RATE
from mytalk.picture import VideoFrame
from streamer.errors import TooLargeError
from streamer.media.audio import CHUNK, OUTPUT_RATE, Stereo

MOST_DELAY = 10 * SAMPLE_RATE
"""Media time (10 s) that pictures can be held for."""

HELD_BYTES = 256 * 1024 * 1024
"""Pictures that a session holds. Full: a new picture is left out and counted, so there are fewer, none of them late."""

MOST_WAITING = 60 * OUTPUT_RATE
"""Speech (60 s) that may wait for its time: 3 000 chunks of 20 ms, 11.5 MB, however often they are replaced. Beyond: it
is refused with an error, all of it."""

LEAD = 3 * CHUNK
"""Samples (60 ms) from now at which speech begins that arrives while none waits: what comes in real time jitters."""

_STEP = OUTPUT_RATE // SAMPLE_RATE
_FADE = OUTPUT_RATE // 200  # 5 ms: speech that is cut begins without a click


class HeldPictures:
    """Holds each picture of a camera for ``delay`` samples of media time."""

    def __init__(self, delay: int) -> None:
        self.left_out = 0
        self._delay = delay
        self._frames: deque[VideoFrame] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: VideoFrame) -> None:
        """Takes a picture in order of ``at``."""
        if self._bytes + _size(frame) > HELD_BYTES:
            self.left_out += 1
            return
        self._bytes += _size(frame)
        self._frames.append(frame)

    def due(self, now: int) -> list[VideoFrame]:
        """Gives the pictures whose time has come at media time ``now``, with ``at`` moved to when they leave."""
        frames = []
        while self._frames and self._frames[0].at + self._delay <= now:
            frame = self._frames.popleft()
            self._bytes -= _size(frame)
            frames.append(VideoFrame(frame.picture, frame.at + self._delay, frame.pts, frame.time_base))
        return frames


class DubbedSpeech:
    """Turns a client's speech into a stream of 20 ms chunks without holes. ``delay`` is that of the pictures."""

    def __init__(self, delay: int = 0) -> None:
        self.late = 0  # samples (48 kHz) that came too late
        self._delay = delay
        self._next = 0  # position of the next chunk, in 48 kHz samples: a multiple of CHUNK
        self._end = 0  # of the speech that has come
        self._chunks: dict[int, Stereo] = {}  # speech that waits, by its position in chunks

    @property
    def waiting(self) -> int:
        """Samples (48 kHz) from the next chunk to the end of the speech that has come."""
        return max(0, self._end - self._next)

    def add(self, samples: Stereo, at: int | None = None) -> int:
        """Takes speech ``(n, 2)`` for the picture of media time ``at``, or to be played as soon as possible.

        Gives the number of samples that came too late. It replaces what waits where they overlap. Raises
        ``TooLargeError``, and takes nothing, where it would wait for more than a minute.
        """
        begins = self._position_on_arrival() if at is None else (at + self._delay) * _STEP
        if begins + len(samples) - self._next > MOST_WAITING:
            raise TooLargeError(
                f"{(begins + len(samples) - self._next) // OUTPUT_RATE} s of speech would wait "
                f"(need {MOST_WAITING // OUTPUT_RATE} s at most: send it nearer to its time)"
            )
        missed = min(max(0, self._next - begins), len(samples))
        if missed:
            self.late += missed
            samples = _faded_in(samples[missed:])
        if len(samples):
            self._write(begins + missed, samples)
            self._end = max(self._end, begins + missed + len(samples))
        return missed

    def take(self) -> Stereo:
        """Gives the next 20 ms, silence where there is nothing."""
        chunk = self._chunks.pop(self._next // CHUNK, None)
        self._next += CHUNK
        return chunk if chunk is not None else np.zeros((CHUNK, 2), np.int16)

    def leave_out(self) -> int:
        """Drops the next 20 ms: there is no picture for them. Gives the samples of speech in them."""
        dropped = CHUNK if self._chunks.pop(self._next // CHUNK, None) is not None else 0
        self.late += dropped
        self._next += CHUNK
        return dropped

    def skip(self, samples: int) -> None:
        """Leaves out the next samples (48 kHz, whole chunks) after a stall: those that waited come too late."""
        self.late += min(samples, self.waiting)
        self._next += samples

    def clear(self) -> None:
        """Barge-in: nothing that waits is heard."""
        self._chunks.clear()
        self._end = self._next

    def _write(self, begins: int, samples: Stereo) -> None:
        written = 0
        while written < len(samples):
            number, start = divmod(begins + written, CHUNK)
            part = samples[written : written + CHUNK - start]
            chunk = self._chunks.setdefault(number, np.zeros((CHUNK, 2), np.int16))
            chunk[start : start + len(part)] = part
            written += len(part)

    def _position_on_arrival(self) -> int:
        return self._end if self._end > self._next else self._next + LEAD


def _faded_in(samples: Stereo) -> Stereo:
    count = min(_FADE, len(samples))
    ramp = np.arange(1, count + 1, dtype=np.float32)[:, None] / np.float32(_FADE)
    faded = samples.copy()
    faded[:count] = np.rint(samples[:count] * ramp)
    return faded


def _size(frame: VideoFrame) -> int:
    return frame.picture.width * frame.picture.height * 3 // 2
