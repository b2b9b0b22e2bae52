"""Puts the voices of a cast together: what each face hears, and what the film sounds like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mytalk.media import SpeechReader
from mytalk.media.sound_convert import resampled
from mytalk.media_time import SAMPLE_RATE
from mytalk.studio.cast import Cast, Segment

SHORT_UNTOLD = Fraction(1, 10)
"""Seconds by which a voice may end before its segment without a warning."""

_FADE = Fraction(1, 100)  # seconds over which a voice comes and goes at its segment's ends

Block = NDArray[np.float32]


class CastSpeech(SpeechReader):
    """Reads the voices of a cast as one speech.

    ``samples`` yields a column for each speaker, ``(n, speakers)``; ``blocks`` their mix, or the cast's own. Media time
    0 is the film's first picture. Raises what `SpeechReader` does.
    """

    def __init__(self, cast: Cast) -> None:
        self.path = cast.path
        self.warnings = []
        self._lead = 0
        names = [speaker.name for speaker in cast.speakers]
        self._speakers = len(names)
        self._mix = None if cast.mix is None else SpeechReader(cast.mix)
        self._voices: list[tuple[int, SpeechReader, Fraction, list[Segment]]] = []
        for number, speaker in enumerate(cast.speakers):
            shared = [segment for segment in cast.of(speaker.name) if segment.voice is None]
            if shared:
                voice = SpeechReader(speaker.voice) if speaker.voice is not None else self._mix
                assert voice is not None
                self._voices.append((number, voice, Fraction(0), shared))
            for segment in cast.of(speaker.name):
                if segment.voice is not None:
                    self._voices.append((number, SpeechReader(segment.voice), segment.start, [segment]))
        self.rate = max(voice.rate for _, voice, _, _ in self._voices)
        self.layout = "stereo" if any(voice.channels > 1 for _, voice, _, _ in self._voices) else "mono"
        if self._mix is not None:
            self.rate, self.layout = self._mix.rate, self._mix.layout
        self.stated_seconds = max(segment.end for segment in cast.segments)
        for number, voice, offset, segments in self._voices:
            self._warn_of_short(names[number], voice, offset, segments)

    def beside_picture(self) -> Self:
        """Returns this reader: a cast's times are those of the film."""
        return self

    def samples(self) -> Iterator[Block]:
        """Yields 16 kHz ``(n, speakers)``, -1..1, each silent outside of that speaker's segments."""
        tracks = [_Track(_mono(voice), SAMPLE_RATE, offset, parts) for _, voice, offset, parts in self._voices]
        for parts in _together(tracks, SAMPLE_RATE, (1,)):
            block = np.zeros((parts[0].shape[1], self._speakers), np.float32)
            for (number, *_), part in zip(self._voices, parts, strict=True):
                block[:, number] += part[0]
            yield np.clip(block, -1, 1)

    def blocks(self) -> Iterator[Block]:
        """Yields the film's sound: ``(channels, n)`` at ``rate``."""
        if self._mix is not None:
            yield from self._mix.blocks()
            return
        tracks = [
            _Track(resampled(voice, self.rate, self.layout), self.rate, offset, parts)
            for _, voice, offset, parts in self._voices
        ]
        for parts in _together(tracks, self.rate, (self.channels,)):
            yield np.clip(np.sum(parts, axis=0, dtype=np.float32), -1, 1)

    def _warn_of_short(self, name: str, voice: SpeechReader, offset: Fraction, segments: Sequence[Segment]) -> None:
        if voice.stated_seconds is None:
            return
        for segment in segments:
            missing = segment.end - offset - voice.stated_seconds
            if missing > SHORT_UNTOLD:
                span = f"{float(segment.start):g}-{float(segment.end):g} s"
                self._warn(f"the voice of {name} ({voice.path.name}) ends {float(missing):.2f} s before segment {span}")


class _Track:
    """Gives a voice at its place in the film, silent outside of its segments."""

    def __init__(self, blocks: Iterator[Block], rate: int, offset: Fraction, segments: Sequence[Segment]) -> None:
        self._blocks, self._rate = blocks, rate
        self._spans = [(round(one.start * rate), round(one.end * rate)) for one in segments]
        self._rest: Block | None = None
        self._silence = round(offset * rate)  # samples before the voice begins
        self.end = max(end for _, end in self._spans)

    def take(self, start: int, count: int, channels: tuple[int, ...]) -> Block:
        """Returns ``(channels, count)`` from sample ``start`` on; calls go on where the last one ended."""
        out = np.zeros((*channels, count), np.float32)
        filled = min(self._silence, count)
        self._silence -= filled
        while filled < count:
            block = self._rest if self._rest is not None else next(self._blocks, None)
            self._rest = None
            if block is None:
                break
            room = min(block.shape[1], count - filled)
            out[:, filled : filled + room] = block[:, :room]
            self._rest = block[:, room:] if room < block.shape[1] else None
            filled += room
        return out * self._gate(start, count)

    def _gate(self, start: int, count: int) -> NDArray[np.float32]:
        """Returns 1 within the segments and 0 outside, with short ramps within."""
        at = np.arange(start, start + count)
        fade = max(1, round(_FADE * self._rate))
        gate = np.zeros(count, np.float32)
        for first, end in self._spans:
            if first < start + count and end > start:
                gate = np.maximum(gate, np.clip(np.minimum(at - first + 1, end - at) / fade, 0, 1).astype(np.float32))
        return gate


def _together(tracks: Sequence[_Track], rate: int, channels: tuple[int, ...]) -> Iterator[list[Block]]:
    """Yields a second of all tracks at a time, until the last segment ends."""
    end, position = max(track.end for track in tracks), 0
    while position < end:
        count = min(rate, end - position)
        yield [track.take(position, count, channels) for track in tracks]
        position += count


def _mono(voice: SpeechReader) -> Iterator[Block]:
    return (block[None] for block in voice.samples())
