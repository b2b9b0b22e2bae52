"""Splits a video into parts that processes share, and yields a part as pictures in time that know where a shot
begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from mytalk.errors import UnreadableError
from mytalk.media import orientation
from mytalk.media.decoder import Decoder
from mytalk.media_time import SAMPLE_RATE, to_samples
from mytalk.picture import Picture

PART_SECONDS = 120
"""Seconds that one process works on at a time, and the most that is done twice after an interruption."""

_SCENE = 0.1  # the threshold that FFmpeg's scdet has by default: mean change of a pixel, 0 to 1
_SCENE_WIDTH = 160  # a small picture shows a cut as well
_SEEK_SLACK = SAMPLE_RATE // 2  # a seek that lands this much too late has missed
_GAP = SAMPLE_RATE // 20  # sound stamped this far off its place is moved there; below, stamps are only rounded


@dataclass(frozen=True, slots=True)
class Part:
    """Describes a stretch of one video. Times are media time; 0 is the video's first picture."""

    number: int
    first: int
    end: int | None  # None: to its end, wherever that is


@dataclass(frozen=True, slots=True)
class Shot:
    """Holds one picture of a part."""

    picture: Picture
    at: int  # media time
    cut: bool  # the first of another shot


@dataclass(frozen=True, slots=True)
class Probe:
    """Holds what is known of a video without playing it."""

    start: int  # media time of its first picture on the file's own clock
    seconds: float | None  # as the header says; None where it does not
    rate: float  # frames a second, on average

    def parts(self) -> list[Part]:
        length = round(PART_SECONDS * SAMPLE_RATE)
        count = max(1, round((self.seconds or 0) / PART_SECONDS))
        return [Part(i, i * length, (i + 1) * length if i + 1 < count else None) for i in range(count)]


def probe(path: Path) -> Probe:
    """Probes a video. Raises UnreadableError where nothing can be decoded, and NoSpeechError where there is no
    sound."""
    with Decoder(path, "audio"):
        pass
    with Decoder(path, "video") as decoder:
        stream = decoder.stream
        first = next(decoder.video_frames(), None)
        if first is None:
            raise UnreadableError(f"{path}: no picture in it could be decoded")
        stamp = first.pts if first.pts is not None else first.dts
        start = to_samples(stamp or 0, _base(stream.time_base))
        rate = float(first_rate(decoder))
        if stream.duration and stream.time_base:
            return Probe(start, float(stream.duration * stream.time_base), rate)
        duration = decoder.container.duration
        return Probe(start, duration / 1e6 if duration else None, rate)


def first_rate(decoder: Decoder) -> Fraction:
    stream = decoder.stream
    return Fraction(getattr(stream, "average_rate", None) or getattr(stream, "guessed_rate", None) or 25)


def shots(path: Path, probe: Probe, part: Part) -> Iterator[Shot]:
    """Yields the pictures of a part, upright and in order of time; two with one stamp come as one.

    Raises UnreadableError where the file cannot be read at all. Damage inside it leaves pictures out.
    """
    last = -1
    scenes = _Scenes()
    for frame, at in _frames(path, probe, part):
        if at < part.first or at <= last:
            continue
        if part.end is not None and at >= part.end:
            return
        last = at
        cut = scenes.cut(frame)
        turn = orientation.of_frame(frame) or orientation.Orientation()
        yield Shot(turn.upright(Picture.from_av(frame)), at, cut)


def sound(path: Path, probe: Probe, first: int, end: int) -> NDArray[np.float32]:
    """Reads 16 kHz mono of media time ``first`` to ``end``: 0 where the file has none. Raises UnreadableError, and
    NoSpeechError where the file has no audio.

    Raises UnreadableError, and NoSpeechError where the file has no audio.
    """
    out = np.zeros(end - first, np.float32)
    with Decoder(path, "audio") as decoder:
        decoder.stream.thread_type = "NONE"  # type: ignore[union-attr]
        base = _base(decoder.stream.time_base)
        if first > 0:
            decoder.seek(_ticks(first + probe.start - SAMPLE_RATE, base))
        position: int | None = None  # media time at which the next sample belongs
        resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE, options={"rematrix_maxval": "1.0"})
        for frame in decoder.audio_frames():
            at = position if frame.pts is None else to_samples(frame.pts, base) - probe.start
            at = -probe.start if at is None else at
            if position is None or abs(at - position) > _GAP:
                position = at
                resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE, options={"rematrix_maxval": "1.0"})
            frame.pts = None
            for block in resampler.resample(frame):
                position += _write_block(out, np.asarray(block.to_ndarray()[0], np.float32), position - first)
            if position >= end:
                break
    return np.nan_to_num(out, nan=0.0, posinf=0.0, neginf=0.0)


def _write_block(out: NDArray[np.float32], block: NDArray[np.float32], at: int) -> int:
    """Writes a block at its position, as far as it lies inside. Returns its whole length."""
    low, high = max(at, 0), min(at + len(block), len(out))
    if low < high:
        out[low:high] = block[low - at : high - at]
    return len(block)


def _frames(path: Path, probe: Probe, part: Part) -> Iterator[tuple[av.VideoFrame, int]]:
    """Yields decoded frames and their times, from before the part's first on."""
    with Decoder(path, "video") as decoder:
        decoder.stream.thread_type = "NONE"  # type: ignore[union-attr]
        if part.first == 0 or decoder.seek(_ticks(part.first + probe.start, _base(decoder.stream.time_base))):
            timed = _timed(decoder, probe)
            first = next(timed, None)
            if first is not None and (part.first == 0 or first[1] <= part.first + _SEEK_SLACK):
                yield first
                yield from timed
                return
    with Decoder(path, "video") as decoder:
        decoder.stream.thread_type = "NONE"  # type: ignore[union-attr]
        yield from _timed(decoder, probe)


def _timed(decoder: Decoder, probe: Probe) -> Iterator[tuple[av.VideoFrame, int]]:
    base = _base(decoder.stream.time_base)
    at = -round(SAMPLE_RATE / probe.rate)
    for frame in decoder.video_frames():
        stamp = frame.pts if frame.pts is not None else frame.dts
        at = at + round(SAMPLE_RATE / probe.rate) if stamp is None else to_samples(stamp, base) - probe.start
        yield frame, at


def _base(time_base: Fraction | None) -> Fraction:
    return time_base or Fraction(1, 25)


def _ticks(at: int, base: Fraction) -> int:
    return int(Fraction(at, SAMPLE_RATE) / base)


class _Scenes:
    """Runs FFmpeg's scene detection, frame by frame."""

    def __init__(self) -> None:
        self._kind: tuple[int, int, str] | None = None
        self._graph = Graph()

    def cut(self, frame: av.VideoFrame) -> bool:
        kind = frame.width, frame.height, frame.format.name
        if kind != self._kind:
            changed = self._kind is not None
            self._kind, self._graph = kind, _scene_graph(frame)
            self._graph.push(frame)
            return changed
        self._graph.push(frame)
        try:
            self._graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return False
        return True


def _scene_graph(frame: av.VideoFrame) -> Graph:
    graph = Graph()
    nodes = [
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or Fraction(1, 25),
        ),
        graph.add("scale", f"w={_SCENE_WIDTH}:h=-2"),
        graph.add("select", f"gt(scene,{_SCENE})"),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    return graph
