"""Leaves the time out of a recording in which the camera was away. Sans-IO."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from mytalk.media_time import SAMPLE_RATE
from streamer.media.audio import CHUNK_TIME, SpeechChunk
from streamer.webrtc.encoded import VIDEO_RATE, Encoded

_WAITING_BOUND = 50  # chunks: 1 s. Full (no keyframe comes): the oldest is left out.


class AbsenceCut:
    """Passes sound and pictures on to a recording, without those of an absence: what comes after one follows what came
    before. Pictures go on with a keyframe, and sound with them.

    ``needs_key``: a keyframe is to be asked for.
    """

    def __init__(self) -> None:
        self.needs_key = False
        self._away_from: int | None = None  # media time
        self._shift = 0  # media time left out so far, in whole chunks
        self._sound_until = self._picture_at = -1  # media time, as recorded
        self._waiting: deque[SpeechChunk] = deque(maxlen=_WAITING_BOUND)  # for the keyframe

    def sound(self, chunk: SpeechChunk) -> Iterator[SpeechChunk]:
        """Takes the next 20 ms; gives what is to be recorded."""
        if chunk.away:
            self._away_from = chunk.at if self._away_from is None else self._away_from
            self.needs_key = False
            self._waiting.clear()
        elif self._away_from is not None:
            self.needs_key = True
            self._waiting.append(chunk)
        else:
            yield from self._recorded(chunk)

    def picture(self, encoded: Encoded) -> Iterator[Encoded | SpeechChunk]:
        """Takes the next picture; gives what is to be recorded."""
        if self._away_from is not None and encoded.at >= self._away_from:
            if not (self.needs_key and encoded.key):
                return
            left_out = min(encoded.at - self._end, self._waiting[0].at - self._sound_until)
            self._shift = left_out // CHUNK_TIME * CHUNK_TIME
            self._away_from, self.needs_key = None, False
        at = encoded.at - self._shift
        if at <= self._picture_at:
            return
        self._picture_at = at
        yield replace(encoded, at=at, timestamp=encoded.timestamp - self._shift * VIDEO_RATE // SAMPLE_RATE)
        while self._waiting:
            yield from self._recorded(self._waiting.popleft())

    @property
    def _end(self) -> int:
        """Media time, in whole chunks, up to which there is a recording."""
        return max(self._sound_until, (self._picture_at // CHUNK_TIME + 1) * CHUNK_TIME)

    def _recorded(self, chunk: SpeechChunk) -> Iterator[SpeechChunk]:
        at = chunk.at - self._shift
        if at >= self._sound_until:
            self._sound_until = at + CHUNK_TIME
            yield replace(chunk, at=at)
