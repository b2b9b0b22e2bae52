"""Encodes and decodes the members of one clip: pictures as H.264, sound as FLAC, landmarks as npz."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from mytalk.media_time import MOTION_RATE, SAMPLE_RATE
from mytalk.picture import Picture

KEY_INTERVAL = 10
"""Frames between two key frames: the most that is decoded in vain to reach one frame."""

# Of 256 x 256 at crf 12, what the encoder takes away is below what the source's own had taken.
_X264 = {"preset": "fast", "crf": "12", "bf": "0", "threads": "1"}
_TICK = Fraction(1, MOTION_RATE)
# Landmarks keep this many steps a unit: finer than they are known, and what is behind it would not compress.
_CANONICAL_STEPS, _CROP_STEPS = 2**14, 2**6


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Holds what is known of the face in each of T frames."""

    canonical: NDArray[np.float32]  # (T, 478, 3) at the frame's own time
    crop: NDArray[np.float32]  # (T, 478, 2) pixels of the 256 crop, of the picture that the frame shows
    poses: NDArray[np.float32]  # (T, 13): scale, rotation (9, row by row), translation (3), in pixels of the source

    @property
    def nbytes(self) -> int:
        return self.canonical.nbytes + self.crop.nbytes + self.poses.nbytes


class PictureWriter:
    """Encodes the pictures of one clip as they come."""

    def __init__(self, size: int) -> None:
        self._file = io.BytesIO()
        self._container = av.open(self._file, "w", format="mp4")
        self._stream = self._container.add_stream("libx264", rate=MOTION_RATE, options=_X264)
        self._stream.width = self._stream.height = size
        self._stream.pix_fmt, self._stream.gop_size = "yuv420p", KEY_INTERVAL
        context = self._stream.codec_context
        context.color_range, context.colorspace = 1, 6  # limited; BT.601, as Picture has it below 720 lines
        self.frames = 0

    def write(self, rgb: NDArray[np.uint8]) -> None:
        """Encodes one more picture ``(S, S, 3)``."""
        frame = Picture.from_rgb(rgb).to_av()
        frame.pts, frame.time_base = self.frames, _TICK
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def finish(self) -> bytes:
        """Returns the encoded clip."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._file.getvalue()


def read_pictures(data: bytes, frames: Sequence[int]) -> NDArray[np.uint8]:
    """Decodes the named frames, ``(n, S, S, 3)`` RGB in the order asked for.

    Raises ValueError where the clip has no such frame, av.FFmpegError where it is damaged.
    """
    wanted = sorted(set(frames))
    found: dict[int, NDArray[np.uint8]] = {}
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        while len(found) < len(wanted):
            before = len(found)
            _read_run(container, stream, wanted[before:], found)
            if len(found) == before:
                raise ValueError(f"no frame {wanted[before]}")
        side = stream.width
    if not wanted:
        return np.zeros((0, side, side, 3), np.uint8)
    return np.stack([found[frame] for frame in frames])


def _read_run(
    container: InputContainer, stream: VideoStream, wanted: list[int], found: dict[int, NDArray[np.uint8]]
) -> None:
    """Reads on from the first of ``wanted`` for as long as the next one lies nearer than a key frame may."""
    assert stream.time_base is not None
    ticks = int(_TICK / stream.time_base)
    if wanted[0] >= KEY_INTERVAL or found:
        container.seek(wanted[0] * ticks, stream=stream)
    rest = list(wanted)
    for frame in container.decode(stream):
        number = (frame.pts or 0) // ticks
        if number == rest[0]:
            found[number] = Picture.from_av(frame).rgb()
            rest.pop(0)
            if not rest or rest[0] - number > KEY_INTERVAL:
                return


def write_sound(samples: NDArray[np.float32]) -> bytes:
    """Encodes 16 kHz mono ``(S,)`` in -1..1 as 16-bit FLAC; what is louder is clipped."""
    whole = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono", format="s16")
        for start in range(0, len(whole), 4096):
            frame = av.AudioFrame.from_ndarray(whole[None, start : start + 4096], "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def read_sound(data: bytes) -> NDArray[np.float32]:
    """Decodes 16 kHz mono ``(S,)``. Raises av.FFmpegError where it is damaged."""
    with av.open(io.BytesIO(data), "r") as container:
        parts = [frame.to_ndarray()[0] for frame in container.decode(container.streams.audio[0])]
    return np.asarray(np.concatenate(parts), np.float32) / np.float32(32768)


def write_landmarks(landmarks: Landmarks) -> bytes:
    """Encodes landmarks."""
    file = io.BytesIO()
    canonical = np.rint(landmarks.canonical * _CANONICAL_STEPS) / np.float32(_CANONICAL_STEPS)
    crop = np.rint(landmarks.crop * _CROP_STEPS) / np.float32(_CROP_STEPS)
    np.savez_compressed(file, canonical=canonical, crop=crop, poses=landmarks.poses)
    return file.getvalue()


def read_landmarks(data: bytes) -> Landmarks:
    """Decodes landmarks. Raises KeyError, ValueError or zipfile.BadZipFile where they are damaged."""
    with np.load(io.BytesIO(data)) as stored:
        return Landmarks(stored["canonical"], stored["crop"], stored["poses"])
