"""Reads speech: 16 kHz mono for the model, and the samples as they are for the output."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Literal, Self

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from mytalk.errors import NoSpeechError, UnreadableError
from mytalk.media.decoder import Decoder
from mytalk.media.mono import MonoMixer
from mytalk.media.samples import LAYOUTS, to_frame
from mytalk.media_time import SAMPLE_RATE

MIN_RATE, MAX_RATE = 1_000, 768_000
"""Sample rates that are read, Hz."""

_GAP_SHORTEST = Fraction(1, 20)  # seconds; below it, stamps are only rounded
_GAP_LONGEST = 60  # seconds; above it, stamps are wrong


class SpeechReader:
    """Reads the sound of any file. Each call of ``samples`` or ``blocks`` reads it once, from its first sample.

    Memory does not grow with its length. A pause that the file leaves out (a gap between timestamps) comes out as
    silence, so that what follows keeps its time.

    Raises ``UnreadableError`` (no such file, not a sound) and ``NoSpeechError`` (no audio, zero length).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._lead = 0  # samples of silence before the first one; below 0: samples left out
        with Decoder(path, "audio") as decoder:
            first = next((frame for frame in decoder.audio_frames() if frame.samples), None)
            if first is None:
                raise NoSpeechError(f"{path}: its audio is empty (need a file with speech)")
            self.rate = first.sample_rate  # samples a second
            self.layout = _named_layout(first)
            self.stated_seconds = _stated_seconds(decoder)  # as the header says; None where it does not
        if not MIN_RATE <= self.rate <= MAX_RATE:
            raise UnreadableError(f"{path}: a sample rate of {self.rate} Hz (need {MIN_RATE} to {MAX_RATE})")
        if LAYOUTS.get(first.layout.nb_channels) is None and self.layout == "mono":
            self._warn(f"{first.layout.nb_channels} channels that say not where they belong are mixed to one")

    def beside_picture(self) -> Self:
        """Returns a reader whose sound begins with the file's own picture, where it has one.

        Sound that the container starts later comes after silence; what it starts earlier is left out, with a warning.
        """
        late = _seconds_after_picture(self.path)
        if abs(late) > _GAP_LONGEST:
            self._warn(f"its sound begins {float(late):.2f} s after its picture; that is left out")
            late = Fraction(0)
        elif late < -_GAP_SHORTEST:
            self._warn(f"its first {-float(late):.2f} s of sound come before its first picture, and are left out")
        placed = copy.copy(self)
        placed._lead = round(late * self.rate)
        if placed.stated_seconds is not None:
            placed.stated_seconds += late
        return placed

    def samples(self) -> Iterator[NDArray[np.float32]]:
        """Yields 16 kHz mono ``(n,)`` for the model, -1..1, mixed by a `MonoMixer`."""
        mixer = MonoMixer(self.rate, self.layout)
        resampler = AudioResampler("flt", "mono", SAMPLE_RATE)
        position = 0
        for block in self.blocks():
            frame = to_frame(mixer.mix(block)[None], self.rate, "mono", position)
            position += block.shape[1]
            for resampled in resampler.resample(frame):
                yield np.asarray(resampled.to_ndarray()[0], np.float32)
        for resampled in resampler.resample(None):
            yield np.asarray(resampled.to_ndarray()[0], np.float32)
        if mixer.cancelled:
            self._warn("its channels cancel each other in a mix; the mouth follows the loudest one there")

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yields the samples as they are: ``(channels, n)`` at ``rate``, ``layout`` in order, -1..1."""
        yield from self._silence(self._lead)
        left_out = max(0, -self._lead)
        for block in self._read():
            if left_out < block.shape[1]:
                yield block[:, left_out:]
            left_out = max(0, left_out - block.shape[1])

    def _read(self) -> Iterator[NDArray[np.float32]]:
        position = 0  # samples given so far
        origin: Fraction | None = None  # seconds at which the file's own clock started
        with Decoder(self.path, "audio") as decoder:
            same_kind = _SameKind(self.rate, self.layout)
            for frame in decoder.audio_frames():
                if not frame.samples:
                    continue
                start = _seconds(frame, decoder)
                if start is not None:
                    origin = start if origin is None else origin
                    gap = start - origin - Fraction(position, self.rate)
                    if gap > _GAP_LONGEST or gap < -_GAP_LONGEST:
                        self._warn("its timestamps jump; the jump is left out")
                        origin = start - Fraction(position, self.rate)
                    elif gap > _GAP_SHORTEST:
                        for silence in self._silence(round(gap * self.rate)):
                            position += silence.shape[1]
                            yield silence
                for block in same_kind.convert(frame):
                    position += block.shape[1]
                    yield self._finite(block)
            for block in same_kind.convert(None):
                position += block.shape[1]
                yield self._finite(block)
            self._report(decoder, Fraction(position, self.rate))

    @property
    def channels(self) -> int:
        """Returns the number of channels."""
        return av.AudioLayout(self.layout).nb_channels

    def _silence(self, samples: int) -> Iterator[NDArray[np.float32]]:
        while samples > 0:
            size = min(samples, self.rate)
            samples -= size
            yield np.zeros((self.channels, size), np.float32)

    def _finite(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        if np.isfinite(block).all():
            return block
        self._warn("samples that are no number are read as 0")
        return np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)

    def _report(self, decoder: Decoder, read: Fraction) -> None:
        if decoder.damaged:
            self._warn(f"damaged in {decoder.damaged} places; what could be read of it is used")
        stated = self.stated_seconds
        read += Fraction(self._lead, self.rate)
        guessed = decoder.container.format.name in ("mp3", "aac")  # from the size of the file
        if stated is not None and not guessed and read < stated - Fraction(1, 4):
            self._warn(f"it ends after {float(read):.2f} s of the {float(stated):.2f} s it states; these are used")

    def _warn(self, text: str) -> None:
        warning = f"{self.path}: {text}"
        if warning not in self.warnings:
            self.warnings.append(warning)


class _SameKind:
    """Converts frames of any kind to float samples of one rate and layout, also where a file changes on the way."""

    def __init__(self, rate: int, layout: str) -> None:
        self._rate, self._layout = rate, layout
        self._resampler: AudioResampler | None = None
        self._kind: tuple[str, str, int] | None = None

    def convert(self, frame: AudioFrame | None) -> list[NDArray[np.float32]]:
        """Converts one frame to blocks ``(channels, n)``. None flushes."""
        frame = _with_layout(frame) if frame is not None else None
        kind = (frame.format.name, frame.layout.name, frame.sample_rate) if frame is not None else None
        converted: list[AudioFrame] = []
        if kind != self._kind and self._resampler is not None:
            converted += self._resampler.resample(None)
            self._resampler = None
        self._kind = kind
        if frame is not None:
            if self._resampler is None:
                self._resampler = _packing_resampler(self._layout, self._rate)
            frame.pts = None
            converted += self._resampler.resample(frame)
        return [_unpack(block) for block in converted]


def _packing_resampler(layout: str, rate: int) -> AudioResampler:
    # Packed, because PyAV 18.1 reads past the planes of a planar frame of 8 channels.
    return AudioResampler("flt", layout, rate, options={"rematrix_maxval": "1.0"})


def _unpack(frame: AudioFrame) -> NDArray[np.float32]:
    """Unpacks a float frame to ``(channels, n)``."""
    return np.asarray(frame.to_ndarray(), np.float32).reshape(-1, frame.layout.nb_channels).T


def _named_layout(frame: AudioFrame) -> str:
    """Returns the name of the frame's channel layout; "mono" where its channels can only be mixed."""
    name = frame.layout.name
    return LAYOUTS.get(frame.layout.nb_channels, "mono") if name.endswith("channels") else name


def _with_layout(frame: AudioFrame) -> AudioFrame:
    """Names each channel of the samples; more than 8 unnamed channels become their mean."""
    if not frame.layout.name.endswith("channels"):
        return frame
    packed = _packing_resampler(frame.layout.name, frame.sample_rate).resample(frame)
    block = np.concatenate([_unpack(part) for part in packed], axis=1)
    layout = _named_layout(frame)
    if layout == "mono":
        block = block.mean(axis=0, keepdims=True)
    return to_frame(block, frame.sample_rate, layout, 0)


def _seconds(frame: AudioFrame, decoder: Decoder) -> Fraction | None:
    time_base = decoder.stream.time_base
    return None if frame.pts is None or time_base is None else frame.pts * time_base


def _stated_seconds(decoder: Decoder) -> Fraction | None:
    stream = decoder.stream
    if stream.duration and stream.time_base:
        return stream.duration * stream.time_base
    return Fraction(decoder.container.duration, 1_000_000) if decoder.container.duration else None


def _seconds_after_picture(path: Path) -> Fraction:
    """Returns by how many seconds the first sound comes after the first picture of one file; 0 where it has one
    alone."""
    starts: list[Fraction] = []
    kinds: tuple[Literal["video", "audio"], ...] = ("video", "audio")
    for kind in kinds:
        with suppress(UnreadableError), Decoder(path, kind) as decoder:
            frame = next(decoder.video_frames() if kind == "video" else decoder.audio_frames(), None)
            if frame is not None and frame.pts is not None and frame.time_base is not None:
                starts.append(frame.pts * frame.time_base)
    return starts[1] - starts[0] if len(starts) == 2 else Fraction(0)
