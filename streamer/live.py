"""A connected session's media: in from the peer or from storage, through the engine, out by the pacer."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction

import av
from aiortc.mediastreams import MediaStreamError

from mytalk.errors import MyTalkError
from mytalk.media.face_source import FaceSource
from mytalk.media_time import FRAME_SAMPLES
from mytalk.picture import Picture, VideoFrame
from mytalk.presets import PROFILES
from streamer.clock import MILLISECOND_NS, SAMPLE_NS, SECOND_NS, Clock
from streamer.engine import Engine
from streamer.events import Event, Events
from streamer.ladder import Ladder, Rung
from streamer.options import SessionOptions
from streamer.pacer import FOREVER, Pacer
from streamer.receive import Inbound
from streamer.seat import LipSync, Models, Seat
from streamer.speech import CHUNK, CHUNK_TIME, Downsampler, SpeechChunk, stereo_of
from streamer.stored import LoopedSpeech
from streamer.timeline import HOLD, PictureTimeline, SpeechTimeline, picture_offset
from streamer.webrtc import VIDEO_RATE, Peer

log = logging.getLogger(__name__)

MARGIN = 100 * MILLISECOND_NS // SAMPLE_NS
"""Media time between a frame's motion being possible and the frame leaving: motion, pixels, and the wait for a turn."""

_TICK = CHUNK_TIME * SAMPLE_NS  # 20 ms


class Live:
    """One session's media from its connection to its end. ``face`` and ``speech`` None: the peer's own.

    ``generation`` counts barge-ins. Nothing that was said in an older one is heard or seen: what waits on the event
    loop is dropped as ``clear`` is called, and what the engine's thread has under way when it arrives here.
    """

    # From when media began:
    _origin: int  # ns: media time 0
    _ladder: Ladder
    _steps: int  # of sampling, while nothing is given up
    _said: int  # media time up to which chunks have been said
    _said_from: int  # media time at which the speech of this generation begins
    _speech: SpeechTimeline
    _pictures: PictureTimeline
    _pacer: Pacer
    _downsample: Downsampler

    def __init__(
        self,
        options: SessionOptions,
        engine: Engine,
        clock: Clock,
        peer: Peer,
        events: Events,
        face: FaceSource | None = None,
        speech: LoopedSpeech | None = None,
    ) -> None:
        self.generation = 0
        self.failure: MyTalkError | None = None  # why its pictures leave untouched
        self._options = options
        self._engine = engine
        self._clock = clock
        self._peer = peer
        self._events = events
        self._face = face
        self._stored_speech = speech
        self._seat: Seat | None = None  # None: its pictures leave untouched
        self._past = Counter[str]()  # pictures, at the seats it had before
        self._last: Picture | None = None
        self._began = asyncio.Event()
        self._lost = asyncio.Event()  # its seat, with the engine
        profile = PROFILES[options.profile]
        self._delay = (profile.hop + profile.lookahead) * FRAME_SAMPLES + MARGIN

    # --- for the session

    async def run(self) -> None:
        """Moves media until it is cancelled."""
        peer = self._peer
        async with asyncio.TaskGroup() as group:
            if self._stored_speech is not None:
                group.create_task(self._speak(self._stored_speech))
            elif peer.sound_in is not None:
                group.create_task(self._hear(peer.sound_in))
            if self._face is not None:
                group.create_task(self._show(self._face))
            elif peer.pictures_in is not None:
                group.create_task(self._see(peer.pictures_in))
            await self._began.wait()
            group.create_task(self._tick())
            group.create_task(self._release())
            group.create_task(self._return_to_engine())

    def clear(self) -> Event:
        """Barge-in: nothing said so far is heard or seen any more; the mouth comes to rest. New speech goes on at once.

        The event says how much of the speech since the last barge-in was heard, in samples at 16 kHz.
        """
        position, interrupted = 0, False
        if self._began.is_set():
            position = max(0, self._pacer.heard - self._said_from)
            interrupted = self._speech.at > self._said_from
            self._speech.clear()
            self._said_from = self._speech.at
            first_left = self._pacer.clear()
            self._peer.clear()
            if self._seat is not None:
                self._downsample.clear()
                self._seat.clear(first_left)
        self.generation += 1
        return self._events.add(
            "playback.finished", position=position, interrupted=interrupted, generation=self.generation
        )

    @property
    def rung(self) -> Rung:
        """What it has given up under overload."""
        return self._ladder.rung if self._began.is_set() else Rung.FULL

    def close(self) -> None:
        """Gives the place at the engine back."""
        if self._seat is not None:
            self._seat.close()

    def pictures(self) -> dict[str, int]:
        """Pictures so far, by what became of them."""
        if not self._began.is_set():
            return {}
        at_engine = self._past.copy()
        at_engine.update(self._seat.counts if self._seat is not None else {})
        return {**asdict(self._pacer.counts), **at_engine}

    def stats(self) -> dict[str, object]:
        """Counts and milliseconds for people and for `/metrics`."""
        if not self._began.is_set():
            return {}
        sounds, pictures = self._pacer.waiting
        return {
            "rung": self.rung.name.lower(),
            "lag_ms": (self._seat.lag if self._seat is not None else 0) * SAMPLE_NS // MILLISECOND_NS,
            "delay_ms": self._pacer.delay * SAMPLE_NS // MILLISECOND_NS,
            "sounds_waiting": sounds,
            "pictures_waiting": pictures,
            "late_speech_ms": self._speech.late * 1000 // 48_000,
            "filled_speech_ms": self._speech.filled * 1000 // 48_000,
            "pictures": self.pictures(),
            "engine": self._seat.stats if self._seat is not None else {},
        }

    def _begin(self, origin: int) -> None:
        """Media time 0 is ``origin``: the first packet of either track, or the moment of connection."""
        if self._began.is_set():
            return
        self._origin = origin
        self._speech = SpeechTimeline(origin)
        self._said_from = 0
        self._pictures = PictureTimeline(origin)
        self._pacer = Pacer(origin, self._delay)
        self._said = 0
        self._steps = self._options.steps or self._engine.steps
        rungs = [rung for rung in Rung if self._steps > 1 or rung is not Rung.FEWER_STEPS]
        self._ladder = Ladder(rungs, self._clock.now())
        self._began.set()
        if self._engine.state == "ready":
            self._take_seat()
        else:
            self._leave_seat()
            self._lost.set()

    # --- at the engine

    def _take_seat(self) -> None:
        """The engine hears the session from here on; pictures leave untouched until its first one comes."""
        self._downsample = Downsampler()
        self._seat = self._engine.seat(self._open_stream, self._finished, self._failed, base=self._said)
        self._seat.half_rate = self._ladder.rung >= Rung.HALF_RATE
        self._seat.steps = self._steps_of(self._ladder.rung)

    def _leave_seat(self) -> None:
        """Pictures leave untouched from here on, those that are finished apart."""
        self._pacer.untouched_before = FOREVER
        if self._seat is not None:
            self._seat.close()
            self._past.update(self._seat.counts)
            self._seat = None

    def _watch_load(self, now: int) -> None:
        """Gives up what an overloaded engine cannot do, and takes it back. Sound does not pass this way."""
        if self.failure is not None or self._lost.is_set():
            return
        if not self._ladder.observe(self._seat.lag if self._seat is not None else 0, now):
            return
        rung = self._ladder.rung
        self._events.add("session.updated", rung=rung.name.lower())
        if rung is Rung.UNTOUCHED:
            self._leave_seat()
        elif self._seat is None:
            self._take_seat()
        else:
            self._seat.half_rate = rung >= Rung.HALF_RATE
            self._seat.steps = self._steps_of(rung)

    def _steps_of(self, rung: Rung) -> int:
        return max(1, self._steps // 4) if rung >= Rung.FEWER_STEPS else self._steps

    def _open_stream(self, models: Models) -> LipSync:
        return models.stream(self._options.for_stream())

    def _finished(self, frame: VideoFrame) -> None:
        if self._pacer.untouched_before == FOREVER:
            self._pacer.untouched_before = frame.at
        self._pacer.picture(frame, self._clock.now())

    def _failed(self, failure: MyTalkError) -> None:
        if self._seat is None:
            return
        self.failure = failure
        self._events.add("error", code="engine", message=str(failure), fatal=False)
        log.error("a session goes on with untouched pictures: %s", failure)
        if self._seat.lost:
            self._lost.set()
        self._leave_seat()

    async def _return_to_engine(self) -> None:
        """Takes a seat again where the engine had failed and has begun anew. A stream's own failure is for good."""
        while True:
            await self._lost.wait()
            await self._engine.ready.wait()
            self._lost.clear()
            self._take_seat()
            self.failure = None
            self._events.add("session.updated", pictures="dubbed")

    # --- in

    async def _hear(self, inbound: Inbound) -> None:
        """The peer's microphone."""
        while (frame := await _receive(inbound)) is not None:
            if not isinstance(frame, av.AudioFrame) or frame.pts is None:
                continue
            now = self._clock.now()
            samples = stereo_of(frame)
            self._begin(now - len(samples) * SECOND_NS // frame.sample_rate)
            self._say(self._speech.accept(frame.pts, samples, now, inbound.packet(frame.pts)))

    async def _speak(self, speech: LoopedSpeech) -> None:
        """A stored speech, as it would come from a microphone. A barge-in ends it; it begins again after its pause."""
        await self._peer.connected.wait()
        self._begin(self._clock.now())
        chunks, generation, position = speech.chunks(), self.generation, 0
        while True:
            await self._clock.sleep_until(self._origin + (position + 1) * _TICK)
            if generation != self.generation:
                chunks, generation = speech.chunks(from_pause=True), self.generation
            self._say(self._speech.accept(position * CHUNK, next(chunks), self._clock.now()))
            position += 1

    async def _see(self, inbound: Inbound) -> None:
        """The peer's camera."""
        while (frame := await _receive(inbound)) is not None:
            if not isinstance(frame, av.VideoFrame) or frame.pts is None:
                continue
            now = self._clock.now()
            self._begin(now)
            time_base = Fraction(frame.time_base or Fraction(1, VIDEO_RATE))
            at = self._pictures.place(frame.pts, time_base, now)
            if at is not None:
                self._picture(VideoFrame(Picture.from_av(frame), at, frame.pts, time_base))

    async def _show(self, source: FaceSource) -> None:
        """A stored portrait or clip, paced by the session's clock."""
        await self._began.wait()
        frames = source.frames(endless=True)
        while True:
            frame = next(frames) if source.still else await asyncio.to_thread(_next_frame, frames)
            await self._clock.sleep_until(self._origin + frame.at * SAMPLE_NS)
            self._picture(frame)

    async def _tick(self) -> None:
        """Media time goes on where a track stalls; the sender's reports move the pictures to their speech."""
        while True:
            now = self._clock.now()
            self._say(self._speech.advance(now))
            if self._face is None and self._last is None:
                if self._seat is not None:
                    self._seat.no_picture_before(max(0, (now - self._origin) // SAMPLE_NS - HOLD))
            elif self._face is None and self._last is not None:
                while (at := self._pictures.hold(now, FRAME_SAMPLES)) is not None:
                    self._picture(VideoFrame(self._last, at, at, Fraction(1, 16_000)))
            self._align()
            self._watch_load(now)
            await self._clock.sleep_until(now + _TICK)

    def _align(self) -> None:
        sound, pictures = self._peer.sound_in, self._peer.pictures_in
        if sound is None or pictures is None or sound.report is None or pictures.report is None:
            return
        if self._speech.offset is not None:
            self._pictures.align(picture_offset(sound.report, pictures.report, self._speech.offset))

    def _say(self, chunks: list[SpeechChunk]) -> None:
        for chunk in chunks:
            self._pacer.sound(chunk)
            self._said = chunk.at + CHUNK_TIME
            if self._seat is not None:
                self._seat.speech(self._downsample(chunk.samples))

    def _picture(self, frame: VideoFrame) -> None:
        self._last = frame.picture
        self._pacer.expect(frame)
        if self._seat is not None:
            self._seat.picture(frame)

    # --- out

    async def _release(self) -> None:
        while True:
            now = self._clock.now()
            released = self._pacer.release(now)
            for chunk in released.sounds:
                self._peer.sound_out.push(chunk)
            for frame in released.pictures:
                self._peer.pictures_out.push(frame)
            due = self._pacer.next_due()
            await self._clock.sleep_until(now + _TICK if due is None else min(due, now + _TICK))


async def _receive(inbound: Inbound) -> object | None:
    """The next frame of a track, or None when it has ended."""
    try:
        return await inbound.track.recv()
    except MediaStreamError:
        return None


def _next_frame(frames: Iterator[VideoFrame]) -> VideoFrame:
    return next(frames)
