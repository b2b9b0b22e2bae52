"""Films and sounds for tests, made with PyAV, and read back with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def numbered(index: int, width: int = 160, height: int = 120) -> NDArray[np.uint8]:
    """A yuv420p picture ``(1.5 H, W)`` whose middle shows its number and whose left upper corner is white."""
    picture = np.full((height * 3 // 2, width), 128, np.uint8)
    picture[:height] = 60
    picture[height // 4 : height * 3 // 4, width // 4 : width * 3 // 4] = 20 + 3 * (index % 70)
    picture[: height // 5, : width // 5] = 235
    return picture


def number_of(luma: NDArray[np.uint8]) -> int:
    """The number that ``numbered`` put into the middle."""
    height, width = luma.shape
    middle = luma[height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width * 5 // 8]
    return round((float(middle.mean()) - 20) / 3)


def write_film(
    path: Path,
    pictures: Iterable[NDArray[np.uint8]],
    *,
    stamps: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    rate: Fraction = Fraction(25),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    tags: tuple[int, int, int, int] = (1, 1, 1, 1),
    turned: tuple[float, bool] | None = None,
    gop: int = 12,
    options: dict[str, str] | None = None,
) -> Path:
    """``tags``: range, matrix, primaries, transfer. ``turned``: degrees counter-clockwise, and whether mirrored."""
    ticks = time_base or 1 / rate
    with av.open(str(path), "w") as container:
        stream = None
        for index, planes in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            if stream is None:
                stream = container.add_stream(codec, rate=rate, options=options or {})
                stream.width, stream.height, stream.pix_fmt, stream.gop_size = frame.width, frame.height, pixels, gop
                stream.time_base = stream.codec_context.time_base = ticks
                context = stream.codec_context
                context.color_range, context.colorspace, context.color_primaries, context.color_trc = tags
                if turned:
                    stream.set_display_rotation(turned[0], hflip=turned[1])
            frame.pts, frame.time_base = stamps[index] if stamps else index, ticks
            frame.color_range, frame.colorspace = tags[:2]
            container.mux(stream.encode(frame))
        assert stream is not None
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path, samples: NDArray[np.float32], rate: int, *, layout: str, codec: str = "pcm_s16le") -> Path:
    """``samples``: ``(channels, n)``, -1..1."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        for start in range(0, samples.shape[1], 1024):
            block = np.ascontiguousarray(samples[:, start : start + 1024].T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(block.astype(np.float32), "flt", layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_wav(path: Path, samples: NDArray[np.int16], rate: int = 48_000) -> None:
    """One channel, 16 bit."""
    with av.open(path, "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def speech_like(seconds: float, rate: int, channels: int = 1) -> NDArray[np.float32]:
    """A voiced sound with syllables: ``(channels, n)``, each channel a little softer than the one before."""
    t = np.arange(round(seconds * rate)) / rate
    voice = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 9)) * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * t))
    return np.stack([0.2 * voice * 0.8**channel for channel in range(channels)]).astype(np.float32)


@dataclass
class Film:
    """The decoded pictures, sound and tags of a file."""

    times: list[Fraction]
    luma: list[NDArray[np.uint8]]
    sound: NDArray[np.float32]  # (channels, n)
    sound_rate: int
    layout: str
    sound_start: Fraction | None
    tags: tuple[int, int, int, int]
    duration: Fraction
    comment: str
    turn: int


def read_film(path: Path) -> Film:
    """Decode all of a film, picture and sound."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert stream.time_base is not None
        frames = list(container.decode(stream))
        tags = (context.color_range, context.colorspace, context.color_primaries, context.color_trc)
        times = [(frame.pts or 0) * stream.time_base for frame in frames]
        duration = (stream.duration or 0) * stream.time_base
        comment = container.metadata.get("comment", container.metadata.get("COMMENT", ""))
    sound, rate, layout, start = read_sound(path)
    luma = [frame.to_ndarray()[: frame.height, : frame.width].astype(np.uint8) for frame in frames]
    return Film(times, luma, sound, rate, layout, start, tags, duration, comment, frames[0].rotation if frames else 0)


def read_sound(path: Path) -> tuple[NDArray[np.float32], int, str, Fraction | None]:
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return np.zeros((1, 0), np.float32), 0, "", None
        stream = container.streams.audio[0]
        resampler = av.AudioResampler("flt", stream.layout.name, stream.rate)
        blocks, start = [], None
        for frame in container.decode(stream):
            if start is None and frame.pts is not None and stream.time_base is not None:
                start = frame.pts * stream.time_base
            for part in resampler.resample(frame):
                blocks.append(part.to_ndarray().reshape(-1, stream.channels).T)
        return np.concatenate(blocks, axis=1), stream.rate, stream.layout.name, start
