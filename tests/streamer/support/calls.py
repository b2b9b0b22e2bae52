"""A live session without a network: a microphone that says words, and a peer that knows them again."""

from __future__ import annotations

import asyncio
from collections import deque
from fractions import Fraction
from types import SimpleNamespace
from typing import cast

import av
import numpy as np

from mytalk.media.face_source import FaceSource
from mytalk.picture import Picture, VideoFrame
from streamer.client_stream.utterances import UtteranceQueue
from streamer.clock import MILLISECOND_NS, Clock, FakeClock
from streamer.engine.engine import Engine
from streamer.executors import Pool
from streamer.media.audio import CHUNK, SpeechChunk
from streamer.media.looped_speech import LoopedSpeech
from streamer.protocol.events import Event, Events
from streamer.protocol.generation import Cleared, Generation
from streamer.session.controls import LiveControls
from streamer.session.media_loop import MediaLoop
from streamer.session.media_setup import MediaSetup
from streamer.session.media_start import MediaStart
from streamer.session.options import SessionOptions
from streamer.telemetry.metrics import skew_histogram
from streamer.webrtc.aiortc_internals.decoders import CameraPicture
from streamer.webrtc.connection import Connection
from tests.streamer.support.pictures import number_of, numbered
from tests.streamer.support.waiting import eventually

STEP = 20 * MILLISECOND_NS
LET_WAIT = 50
"""Pieces of 20 ms that wait for the engine's threads at most while a fake clock goes on; at 200 the slot is full."""

LOST = 500 * MILLISECOND_NS
"""A packet that is not read for longer is lost: the socket's buffer was full."""


class Packets:
    """Numbers the packets of a track that come every ``step`` ns by the call's clock, without those that are lost."""

    def __init__(self, clock: Clock, step: int, first: int = 0) -> None:
        self._clock = clock
        self._step = step
        self._began = clock.now() + first
        self._next = 0

    async def until_next(self) -> int:
        """Returns the number of the next packet as soon as it has been sent."""
        number = self._next
        if self._clock.now() - self._began > number * self._step + LOST:
            number = (self._clock.now() - self._began) // self._step
        self._next = number + 1
        await self._clock.sleep_until(self._began + number * self._step)
        return number


class ClockedMicrophone:
    """A microphone by the call's clock: every sample says ``word``."""

    report = None

    def __init__(self, clock: Clock) -> None:
        self.word = 1
        self._packets = Packets(clock, STEP, first=STEP)

    async def receive(self) -> av.AudioFrame:
        index = await self._packets.until_next()
        frame = av.AudioFrame.from_ndarray(np.full((1, CHUNK), self.word, np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, index * CHUNK, Fraction(1, 48_000)
        return frame

    def packet(self, pts: int) -> bytes:
        return b"%d" % self.word


class ClockedCamera:
    """A camera by the call's clock: numbered pictures at 25 fps."""

    report = None
    encoder = SimpleNamespace()  # nothing is noticed of it

    def __init__(self, clock: Clock) -> None:
        self._packets = Packets(clock, 2 * STEP)

    async def receive(self) -> CameraPicture:
        index = await self._packets.until_next()
        return CameraPicture(Picture.from_rgb(numbered(index, 192)), index * 3600, Fraction(1, 90_000))


class ReceivingPeer:
    """A peer that keeps what it is sent: chunks, whose word is 0 for silence, and pictures with their numbers."""

    def __init__(self, clock: Clock, camera: bool = False) -> None:
        self.connected, self.gone = asyncio.Event(), asyncio.Event()
        self.sound_in, self.pictures_in = ClockedMicrophone(clock), ClockedCamera(clock) if camera else None
        self.chunks: list[SpeechChunk] = []
        self.seen: list[tuple[VideoFrame, int]] = []
        self.generation = 0
        self._sounds: deque[SpeechChunk] = deque()
        self._pictures: deque[VideoFrame] = deque()

    def sound(self, chunk: SpeechChunk) -> None:
        self._sounds.append(chunk)

    def picture(self, frame: VideoFrame) -> None:
        self._pictures.append(frame)

    def clear(self, cleared: Cleared) -> None:
        self.generation = cleared.generation
        self._sounds = deque(chunk.silenced() for chunk in self._sounds)
        self._pictures.clear()

    def take(self) -> list[int]:
        """Words that left since the last call; each chunk's packet says the same as its samples."""
        words = []
        while self._sounds:
            chunk = self._sounds.popleft()
            self.chunks.append(chunk)
            word = int(chunk.samples[-1, 0])
            assert chunk.packet is None or (chunk.samples == word).all()
            assert chunk.packet in (None, b"%d" % word)
            words.append(word)
        while self._pictures:
            frame = self._pictures.popleft()
            self.seen.append((frame, number_of(frame.picture.rgb())))
        return words


class Call:
    """A live session without a network; by a clock that only the test moves, where it is given no other."""

    def __init__(
        self,
        engine: Engine,
        speech: LoopedSpeech | None = None,
        face: FaceSource | None = None,
        clock: Clock | None = None,
        options: SessionOptions | None = None,
        camera: bool = False,
        voice: UtteranceQueue | None = None,
    ) -> None:
        self.fake_clock = FakeClock()
        self.clock = clock or self.fake_clock
        self.peer = ReceivingPeer(self.clock, camera)
        self.peer.connected.set()
        self.events = Events(self.clock)
        codecs = Pool("codec", threads=1, waiting=8)
        usual = SessionOptions(source="portrait" if face else "live", speech="demo" if speech else "live")
        options = options or usual
        self.generation = Generation()
        setup = MediaSetup(
            options=options,
            controls=LiveControls(options, engine.steps),
            generation=self.generation,
            engine=engine,
            clock=self.clock,
            events=self.events,
            sinks=[self.peer],
            codecs=codecs,
            skew=skew_histogram(),
            face=face,
            speech=speech,
            voice=voice,
        )
        self.media = MediaStart(setup, cast(Connection, self.peer))
        self.task = asyncio.create_task(self.media.run())

    @property
    def live(self) -> MediaLoop:
        """The media of the call, which has begun."""
        assert self.media.loop is not None
        return self.media.loop

    @property
    def speaker(self) -> ClockedMicrophone:
        return self.peer.sound_in

    async def hear(self, nanoseconds: int) -> list[int]:
        """Time goes on, never faster than the engine's threads follow; the words that leave meanwhile."""
        words = []
        for _ in range(5):  # tasks that have just begun come to their first wait
            await asyncio.sleep(0)
        for _ in range(0, nanoseconds, STEP):
            await self.fake_clock.advance(STEP)
            await eventually(self._engine_follows)
            words += self.peer.take()
        return words

    def _engine_follows(self) -> bool:
        waiting = self.media.loop.queues() if self.media.loop is not None else {}
        return waiting.get("speech", 0) < LET_WAIT and not waiting.get("untracked") and waiting.get("tracked", 0) < 3

    def interrupt(self) -> Event:
        """Interrupts the speech; the microphone says another word from here on."""
        self.speaker.word += 1
        return self.media.clear()

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        if self.media.loop is not None:
            self.media.loop.close()
