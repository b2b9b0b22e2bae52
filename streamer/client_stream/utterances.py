"""Queues the speech that a client streams, from its messages to the 20 ms that are played next. Sans-IO.

Speech may come much faster than it is played: it waits here as it came, and is made 48 kHz stereo when its time comes.
Utterances follow one another; the events of their playback (begun, finished, interrupted) go by what has left.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

import av
import numpy as np
from numpy.typing import NDArray

from mytalk.media_time import SAMPLE_RATE
from streamer.errors import ProtocolError
from streamer.media.audio import CHUNK, CHUNK_TIME, OUTPUT_RATE, Stereo, stereo_of
from streamer.media.resample import Upsampler
from streamer.protocol.generation import Cleared
from streamer.protocol.messages import Limits, PlaybackFinished, PlaybackStarted, SpeechFormat

MOST_TIMED_S = 10
"""Seconds of speech for pictures in one message, which is resampled at once (19 ms). Beyond: it is refused."""

_AHEAD_MS = 60  # that an utterance needs to begin, or to go on where it ran dry
_PATIENCE = 5  # chunks (100 ms) after which it begins with less
_MOST_UTTERANCES = 500  # that wait. Full: what would begin another is refused
_JOINED = SAMPLE_RATE // 1000  # media time (1 ms) by which speech for pictures may miss where the one before ended
_STEP = OUTPUT_RATE // SAMPLE_RATE
_SMALL = 1024  # samples; smaller parts are joined, or a flood of tiny messages would cost more than its samples


@dataclass(slots=True)
class _Utterance:
    number: int
    format: SpeechFormat
    upsample: Upsampler
    ended: bool = False
    playing: bool = False
    waited: int = 0  # chunks
    length: int = 0  # samples at its own rate, so far
    parts: deque[NDArray[np.int16]] = field(default_factory=deque)  # (n, channels)
    held: int = 0  # samples in parts
    ready: Stereo = field(default_factory=lambda: np.zeros((0, 2), np.int16))
    played: int = 0  # samples at 48 kHz

    @property
    def waiting_ms(self) -> int:
        return self.held * 1000 // self.format.rate + len(self.ready) * 1000 // OUTPUT_RATE

    def add(self, samples: NDArray[np.int16]) -> None:
        """Appends speech at its own rate, ``(n, channels)``."""
        if self.parts and len(self.parts[-1]) < _SMALL:
            samples, count = np.concatenate([self.parts.pop(), samples]), len(samples)
        else:
            count = len(samples)
        self.parts.append(samples)
        self.held += count
        self.length += count

    def chunk(self) -> Stereo | None:
        """Returns the next 20 ms, less only at the end or after enough waiting; None while it had better wait."""
        self._prepare()
        if not len(self.ready) or not self._may_play():
            return None
        chunk, self.ready = self.ready[:CHUNK], self.ready[CHUNK:]
        self.played += len(chunk)
        return chunk

    @property
    def over(self) -> bool:
        return self.ended and not self.held and not len(self.ready)

    def _may_play(self) -> bool:
        if self.playing and (len(self.ready) >= CHUNK or self.ended):
            return True
        self.waited = 0 if self.playing else self.waited + 1
        self.playing = self.ended or self.waiting_ms >= _AHEAD_MS or self.waited > _PATIENCE
        return self.playing

    def _prepare(self) -> None:
        step = self.format.rate // 50 + 1
        while len(self.ready) < CHUNK and self.held:
            part = self.parts.popleft()
            if len(part) > step:
                self.parts.appendleft(part[step:])
                part = part[:step]
            self.held -= len(part)
            self._add(self.upsample(part))
            if self.ended and not self.held:
                self._add(self.upsample.flush())

    def _add(self, samples: Stereo) -> None:
        self.ready = np.concatenate([self.ready, samples])


@dataclass(frozen=True, slots=True)
class _PlayedChunk:
    """Places a chunk that is on its way out."""

    at: int  # media time
    utterance: int
    position: int  # samples at 16 kHz of the utterance, up to its end
    first: bool
    last: bool


@dataclass(slots=True)
class _TimedRun:
    """Resamples speech for pictures, without a gap since media time ``begins``."""

    begins: int
    rate: int
    upsample: Upsampler
    given: int = 0  # samples at its own rate
    made: int = 0  # samples at 48 kHz
    rest: Stereo = field(default_factory=lambda: np.zeros((0, 2), np.int16))  # less than a sample of media time

    @property
    def end(self) -> int:
        return self.begins + self.given * SAMPLE_RATE // self.rate

    def next(self, samples: NDArray[np.int16]) -> tuple[Stereo, int]:
        self.given += len(samples)
        out = np.concatenate([self.rest, self.upsample(samples)])
        whole = len(out) // _STEP * _STEP
        place = self.begins + self.made // _STEP
        self.rest, self.made = out[whole:], self.made + whole
        return out[:whole], place


class UtteranceQueue:
    """Holds one session's streamed speech. What does not fit raises ``ProtocolError`` and is not taken, all of it.

    ``room`` is set while less than ``limits.pause_ms`` of speech waits: otherwise nothing more is to be read.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.generation = 0
        self.limits = limits or Limits()
        self.room = asyncio.Event()
        self.room.set()
        self.format: SpeechFormat | None = None
        self._position = 0  # samples since the format or the generation began
        self._utterances: deque[_Utterance] = deque()
        self._count = 0
        self._under_way: deque[_PlayedChunk] = deque()
        self._playing = (0, 0)  # utterance that is leaving (0: none) and how much of it
        self._decoder: av.AudioCodecContext | None = None
        self._run: _TimedRun | None = None

    # --- from the client

    @property
    def buffered_ms(self) -> int:
        """Returns the milliseconds of speech that wait to be played."""
        return sum(utterance.waiting_ms for utterance in self._utterances)

    def check(self, speech: SpeechFormat) -> None:
        """Checks a format. Raises ``ProtocolError`` for one that there is not."""
        if speech.encoding == "opus" and speech.rate != OUTPUT_RATE:
            raise ProtocolError("bad_message", f"Opus at {speech.rate} Hz (need rate {OUTPUT_RATE})")

    def expect(self, speech: SpeechFormat) -> None:
        """Takes the format of the speech from now on; the utterance before it is over."""
        self.check(speech)
        self._end_utterance()
        self.format = speech
        self._position = 0
        self._run = None
        self._decoder = _opus_decoder() if speech.encoding == "opus" else None

    def append(self, payload: bytes, encoding: str | None, pts: int | None) -> None:
        """Appends speech. ``encoding`` and ``pts``: as the message has them, or None. Raises ``ProtocolError``."""
        speech = self._announced(encoding)
        if pts is not None and pts != self._position:
            raise ProtocolError("wrong_position", f"pts is {pts} (need {self._position}, what was sent before it)")
        samples = self._decode(payload) if speech.encoding == "opus" else _pcm(payload, speech.channels)
        waiting, more = self.buffered_ms, len(samples) * 1000 // speech.rate
        if waiting + more > self.limits.buffer_ms:
            most = self.limits.buffer_ms / 1000
            message = f"{waiting / 1000:.1f} s of speech wait, {more / 1000:.1f} s more is over {most:g} s (send later)"
            raise ProtocolError("speech_overflow", message)
        self._open_utterance(speech).add(samples)
        self._position += len(samples)
        self._look_for_room()

    def for_picture(self, payload: bytes, encoding: str | None, at: int) -> tuple[Stereo, int]:
        """Returns speech that belongs to the picture of media time ``at``, at 48 kHz, and where it begins.

        This speech does not wait here. Of speech that goes on where the one before ended, the last few samples come
        with the next. Raises ``ProtocolError`` where a message holds more than ``MOST_TIMED_S``.
        """
        speech = self._announced(encoding)
        samples = self._decode(payload) if speech.encoding == "opus" else _pcm(payload, speech.channels)
        if len(samples) > MOST_TIMED_S * speech.rate:
            seconds = len(samples) / speech.rate
            raise ProtocolError("bad_speech", f"{seconds:.1f} s in a message (need {MOST_TIMED_S} s at most: cut it)")
        run = self._run
        if run is None or abs(at - run.end) > _JOINED:
            run = self._run = _TimedRun(at, speech.rate, Upsampler(speech.rate))
        return run.next(samples)

    def commit(self) -> tuple[int, int]:
        """Ends the utterance. Returns its number, and its length in samples at 16 kHz."""
        utterance = self._end_utterance()
        if utterance is None:
            raise ProtocolError("bad_speech", "nothing to commit (first send speech)")
        return utterance.number, utterance.length * SAMPLE_RATE // utterance.format.rate

    def clear(self, cleared: Cleared) -> PlaybackFinished:
        """Drops all speech at a barge-in. Returns how far it was played."""
        number, position = self._playing
        if not number and (self._under_way or self._utterances):
            number = self._under_way[0].utterance if self._under_way else self._utterances[0].number
        self.generation = cleared.generation
        self._position = 0
        self._utterances.clear()
        self.room.set()
        self._under_way.clear()
        self._playing = (0, 0)
        self._run = None
        if self._decoder is not None:
            self._decoder = _opus_decoder()
        return PlaybackFinished(position, bool(number), self.generation, number or None)

    # --- to the session

    def take(self, at: int) -> Stereo:
        """Returns the 20 ms ``(960, 2)`` that are played at media time ``at``; silence where no speech waits."""
        out = np.zeros((CHUNK, 2), np.int16)
        if not self._utterances:
            return out
        utterance = self._utterances[0]
        chunk = utterance.chunk()
        position = -(-utterance.played * SAMPLE_RATE // OUTPUT_RATE)
        if chunk is not None:
            out[: len(chunk)] = chunk
            first = utterance.played == len(chunk)
            self._under_way.append(_PlayedChunk(at, utterance.number, position, first, utterance.over))
        elif utterance.over:  # it was committed after all of it had been said
            self._under_way.append(_PlayedChunk(at - CHUNK_TIME, utterance.number, position, first=False, last=True))
        if utterance.over:
            self._utterances.popleft()
        if not self.room.is_set():
            self._look_for_room()
        return out

    def playback(self, until: int) -> list[PlaybackStarted | PlaybackFinished]:
        """Returns the events of playback once all sound before media time ``until`` has left."""
        events: list[PlaybackStarted | PlaybackFinished] = []
        while self._under_way and self._under_way[0].at + CHUNK_TIME <= until:
            chunk = self._under_way.popleft()
            self._playing = (chunk.utterance, chunk.position)
            if chunk.first:
                events.append(PlaybackStarted(chunk.utterance, chunk.at, self.generation))
            if chunk.last:
                events.append(PlaybackFinished(chunk.position, False, self.generation, chunk.utterance))
                self._playing = (0, 0)
        return events

    def _look_for_room(self) -> None:
        if self.buffered_ms < self.limits.pause_ms:
            self.room.set()
        else:
            self.room.clear()

    def _announced(self, encoding: str | None) -> SpeechFormat:
        if self.format is None:
            raise ProtocolError("no_format", 'speech in no format (first send session.update with "speech")')
        if encoding is not None and encoding != self.format.encoding:
            known = self.format.encoding
            raise ProtocolError("bad_speech", f"{encoding}, but {known} was announced (send session.update)")
        return self.format

    def _open_utterance(self, speech: SpeechFormat) -> _Utterance:
        if not self._utterances or self._utterances[-1].ended:
            if len(self._utterances) >= _MOST_UTTERANCES:
                raise ProtocolError("speech_overflow", f"{_MOST_UTTERANCES} utterances wait (send another later)")
            self._count += 1
            self._utterances.append(_Utterance(self._count, speech, Upsampler(speech.rate)))
        return self._utterances[-1]

    def _end_utterance(self) -> _Utterance | None:
        if not self._utterances or self._utterances[-1].ended:
            return None
        utterance = self._utterances[-1]
        utterance.ended = True
        if not utterance.held:
            utterance.ready = np.concatenate([utterance.ready, utterance.upsample.flush()])
        return utterance

    def _decode(self, packet: bytes) -> NDArray[np.int16]:
        assert self._decoder is not None
        try:
            frames = self._decoder.decode(av.Packet(packet))
        except av.FFmpegError as error:
            raise ProtocolError("bad_speech", "not an Opus packet (need RFC 6716, one packet a message)") from error
        return np.concatenate([np.zeros((0, 2), np.int16), *(stereo_of(frame) for frame in frames)])


def _pcm(payload: bytes, channels: int) -> NDArray[np.int16]:
    if len(payload) % (2 * channels):
        noun = "channel" if channels == 1 else "channels"
        raise ProtocolError("bad_speech", f"{len(payload)} bytes (need 16-bit samples of {channels} {noun}, whole)")
    return np.frombuffer(payload, "<i2").reshape(-1, channels).astype(np.int16, copy=False)


def length_of(payload: bytes, speech: SpeechFormat) -> int:
    """Returns the samples in a payload, at the speech's own rate, without decoding it (Opus: RFC 6716, 3.1, 3.2)."""
    if speech.encoding == "pcm16":
        return len(payload) // (2 * speech.channels)
    config, code = payload[0] >> 3, payload[0] & 3
    silk, celt = (480, 960, 1920, 2880), (120, 240, 480, 960)
    size = silk[config & 3] if config < 12 else silk[config & 1] if config < 16 else celt[config & 3]
    count = (1, 2, 2, payload[1] & 63 if len(payload) > 1 else 0)[code]
    return size * count


def _opus_decoder() -> av.AudioCodecContext:
    decoder: av.AudioCodecContext = av.CodecContext.create("libopus", "r")
    decoder.format, decoder.layout, decoder.sample_rate = "s16", "stereo", OUTPUT_RATE
    return decoder
