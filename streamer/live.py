"""A connected session's media: in from the peer or from storage, through the engine, out by the pacer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from aiortc.mediastreams import MediaStreamError

from mytalk.errors import MyTalkError
from mytalk.media.face_source import FaceSource
from mytalk.media_time import FRAME_SAMPLES, SAMPLE_RATE
from mytalk.picture import Picture, VideoFrame
from mytalk.presets import PROFILES
from streamer.clock import MILLISECOND_NS, SAMPLE_NS, SECOND_NS, Clock
from streamer.dubbing import DubbedSpeech, HeldPictures
from streamer.engine import Engine
from streamer.errors import ConflictError
from streamer.events import Event, Events
from streamer.histogram import Histogram, skew_histogram
from streamer.ladder import Rung
from streamer.messages import NAMES
from streamer.options import SessionOptions
from streamer.pacer import Pacer
from streamer.place import Place
from streamer.receive import Inbound
from streamer.sinks import Sink
from streamer.speech import CHUNK, CHUNK_TIME, OUTPUT_RATE, SpeechChunk, Stereo, mixed, stereo_of
from streamer.stored import LoopedSpeech
from streamer.timeline import HOLD, PictureTimeline, SpeechTimeline, picture_offset
from streamer.typed_json import write
from streamer.voice import Voice
from streamer.webrtc import VIDEO_RATE, Connection

if TYPE_CHECKING:
    from mytalk.face import Choice

MARGIN = 120 * MILLISECOND_NS // SAMPLE_NS
"""Media time between a frame's motion being possible and the frame leaving: motion, pixels, and the wait for a turn."""

SPEECH_AWAITED = SECOND_NS // 2
"""How long pictures wait at first for the speech that their publisher has announced; until then they are left out."""

_TICK = CHUNK_TIME * SAMPLE_NS  # 20 ms


class Live:
    """One session's media from its connection to its end. ``face`` and ``speech`` None: the peer's own.

    ``peer`` None: a session that has both without a publisher; media begins at once. ``sinks`` get what leaves.
    ``voice``: what a client streams.

    ``generation`` counts barge-ins. Nothing that was said in an older one is heard or seen: what waits on the event
    loop is dropped as ``clear`` is called, and what the engine's thread has under way when it arrives here.
    """

    # From when media began:
    _group: asyncio.TaskGroup
    _origin: int  # ns: media time 0
    _place: Place
    _said_from: int  # media time at which the speech of this generation begins
    _speech: SpeechTimeline
    _pictures: PictureTimeline
    _pacer: Pacer

    def __init__(
        self,
        options: SessionOptions,
        engine: Engine,
        clock: Clock,
        peer: Connection | None,
        sinks: Sequence[Sink],
        events: Events,
        face: FaceSource | None = None,
        speech: LoopedSpeech | None = None,
        voice: Voice | None = None,
    ) -> None:
        self.generation = voice.generation if voice is not None else 0
        self._options = options
        self._engine = engine
        self._clock = clock
        self._peer = peer
        self._sinks = sinks
        self._events = events
        self._face = face
        self._stored_speech = speech
        self._voice = voice
        self._last: Picture | None = None
        self._began = asyncio.Event()
        delay = options.video_delay * SAMPLE_RATE // 1000
        self._held = HeldPictures(delay) if delay else None
        self._dubbed = DubbedSpeech(delay) if options.speech == "stream" else None
        self._given = 0  # pictures to seat and pacer
        profile = PROFILES[options.profile]
        self._delay = (profile.hop + profile.lookahead) * FRAME_SAMPLES + MARGIN

    # --- for the session

    async def run(self) -> None:
        """Moves media until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            if self._stored_speech is not None:
                group.create_task(self._speak(self._stored_speech))
            if self._dubbed is not None:
                group.create_task(self._dub(self._dubbed))
            if self._face is not None:
                group.create_task(self._show(self._face))
            self._receive_from(self._peer)
            await self._began.wait()
            group.create_task(self._tick())
            group.create_task(self._release())
            group.create_task(self._place.run())

    def replace(self, peer: Connection) -> None:
        """Another publisher in the place of one that has gone; its tracks count their own time."""
        self._peer = peer
        if self._began.is_set():
            self._speech.restart()
            self._pictures.restart()
        self._receive_from(peer)

    def _receive_from(self, peer: Connection | None) -> None:
        if peer is not None and peer.sound_in is not None and self._options.speech == "live":
            self._group.create_task(self._hear(peer.sound_in))
        if peer is not None and peer.pictures_in is not None and self._options.source == "live":
            self._group.create_task(self._see(peer.pictures_in))

    def clear(self) -> Event:
        """Barge-in: nothing said so far is heard or seen any more; the mouth comes to rest. New speech goes on at once.

        The event says how much of the speech since the last barge-in was heard, in samples at 16 kHz.
        """
        position, interrupted = 0, False
        if self._began.is_set():
            position = max(0, self._pacer.heard - self._said_from)
            interrupted = self._speech.at > self._said_from
            self._speech.clear()
            if self._dubbed is not None:
                self._dubbed.clear()
            self._said_from = self._speech.at
            first_left = self._pacer.clear()
            for sink in self._sinks:
                sink.clear()
            self._place.clear(first_left)
        self.generation += 1
        if self._voice is not None and (told := self._voice.clear()).utterance is not None:
            return self._events.add("playback.finished", **write(told))
        return self._events.add(
            "playback.finished", position=position, interrupted=interrupted, generation=self.generation
        )

    def say(self, samples: Stereo, at: int | None = None) -> None:
        """Takes dubbed speech at 48 kHz, for the picture of media time ``at`` or to be played on arrival.

        What comes too late is dropped, and an event says how much. Raises ``TooLargeError``, and ``ConflictError``
        where the session's speech comes from elsewhere.
        """
        if self._dubbed is None:
            raise ConflictError(
                f"the session's speech is {self._options.speech} (need a session whose speech is stream)"
            )
        if missed := self._dubbed.add(samples, at):
            self._events.add("speech.late", dropped_ms=missed * 1000 // OUTPUT_RATE, pts=at)

    def choose(self, face: Choice) -> None:
        """Which face speaks from here on."""
        if self._began.is_set():
            self._place.choose(face)
            self._events.add("session.updated", face=face)

    def adjust(self, options: SessionOptions) -> None:
        """Takes other values of what can be changed live (:mod:`streamer.controls`)."""
        self._options = options
        if self._began.is_set():
            self._place.adjust(options)

    @property
    def rung(self) -> Rung:
        """What it has given up under overload."""
        return self._place.rung if self._began.is_set() else Rung.FULL

    @property
    def failure(self) -> MyTalkError | None:
        """Why its pictures leave untouched."""
        return self._place.failure if self._began.is_set() else None

    def close(self) -> None:
        """Gives the place at the engine back."""
        if self._began.is_set():
            self._place.close()

    def pictures(self) -> dict[str, int]:
        """Pictures so far, by what became of them."""
        if not self._began.is_set():
            return {}
        left_out = {"held_left_out": self._held.left_out} if self._held is not None else {}
        return {**asdict(self._pacer.counts), **self._place.counts, **left_out}

    @property
    def skew(self) -> Histogram:
        """By how much pictures left later than their sound."""
        return self._pacer.skew if self._began.is_set() else skew_histogram()

    def queues(self) -> dict[str, int]:
        """Items that wait, by where."""
        if not self._began.is_set():
            return {}
        sounds, pictures = self._pacer.waiting
        return {"paced_sounds": sounds, "paced_pictures": pictures, **self._place.waiting}

    def stats(self) -> dict[str, object]:
        """Counts and milliseconds for people and for `/metrics`."""
        if not self._began.is_set():
            return {}
        sounds, pictures = self._pacer.waiting
        return {
            "rung": self.rung.name.lower(),
            "lag_ms": self._place.lag * SAMPLE_NS // MILLISECOND_NS,
            "delay_ms": self._pacer.delay * SAMPLE_NS // MILLISECOND_NS,
            "sounds_waiting": sounds,
            "pictures_waiting": pictures,
            "late_speech_ms": self._speech.late * 1000 // OUTPUT_RATE,
            "late_dub_ms": self._dubbed.late * 1000 // OUTPUT_RATE if self._dubbed is not None else 0,
            "pictures_held": len(self._held) if self._held is not None else 0,
            "filled_speech_ms": self._speech.filled * 1000 // OUTPUT_RATE,
            "stretched_speech_ms": self._speech.stretched * 1000 // OUTPUT_RATE,
            "pictures": self.pictures(),
            "engine": self._place.stats,
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
        self._place = Place(self._options, self._engine, self._clock, self._events, self._pacer)
        self._began.set()

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
        if self._peer is not None:
            await self._peer.connected.wait()
        self._begin(self._clock.now())
        chunks, generation, position = speech.chunks(), self.generation, 0
        while True:
            await self._clock.sleep_until(self._origin + (position + 1) * _TICK)
            if generation != self.generation:
                chunks, generation = speech.chunks(from_pause=True), self.generation
            self._say(self._speech.accept(position * CHUNK, next(chunks), self._clock.now()))
            position += 1

    async def _dub(self, dubbed: DubbedSpeech) -> None:
        """What a client says, as it falls due: where the loop stood still it is late, and none of it is lost."""
        if self._peer is not None:
            await self._peer.connected.wait()
        self._begin(self._clock.now())
        while True:
            at = self._speech.at
            await self._clock.sleep_until(self._origin + at * SAMPLE_NS + _TICK)
            samples = dubbed.take()
            if self._voice is not None:
                samples = mixed(samples, self._voice.take(at))
            self._say([self._speech.append(samples)])

    async def _see(self, inbound: Inbound) -> None:
        """The peer's camera. Where a microphone is to come, media time begins with its first packet: speech keeps to a
        grid of 20 ms, and on another's it would wait for its next line."""
        waits = self._peer is not None and self._peer.sound_in is not None and self._options.speech == "live"
        until = None
        while (frame := await _receive(inbound)) is not None:
            if not isinstance(frame, av.VideoFrame) or frame.pts is None:
                continue
            now = self._clock.now()
            until = until or now + (SPEECH_AWAITED if waits else 0)
            if now < until and not self._began.is_set():
                continue
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
            if self._dubbed is None:
                self._say(self._speech.advance(now))
            media = (now - self._origin) // SAMPLE_NS
            if self._face is None and not self._given:
                self._place.no_picture_before(max(0, media - HOLD))
            if self._face is None and self._last is not None:
                while (at := self._pictures.hold(now, FRAME_SAMPLES)) is not None:
                    self._picture(VideoFrame(self._last, at, at, Fraction(1, 16_000)))
            for frame in self._held.due(media + 2 * CHUNK_TIME) if self._held is not None else ():
                self._give(frame)
            self._align()
            self._place.watch(now)
            await self._clock.sleep_until(now + _TICK)

    def _align(self) -> None:
        if self._peer is None:
            return
        sound, pictures = self._peer.sound_in, self._peer.pictures_in
        if sound is None or pictures is None or sound.report is None or pictures.report is None:
            return
        if self._speech.offset is not None:
            self._pictures.align(picture_offset(sound.report, pictures.report, self._speech.offset))

    def _say(self, chunks: list[SpeechChunk]) -> None:
        for chunk in chunks:
            self._pacer.sound(chunk)
            self._place.say(chunk)

    def _picture(self, frame: VideoFrame) -> None:
        self._last = frame.picture
        if self._held is not None:
            self._held.add(frame)
        else:
            self._give(frame)

    def _give(self, frame: VideoFrame) -> None:
        self._given += 1
        self._pacer.expect(frame)
        self._place.show(frame)

    # --- out

    async def _release(self) -> None:
        while True:
            now = self._clock.now()
            released = self._pacer.release(now)
            for sink in self._sinks:
                for chunk in released.sounds:
                    sink.sound(chunk)
                for frame in released.pictures:
                    sink.picture(frame)
            if self._voice is not None:
                for told in self._voice.heard(self._pacer.heard):
                    self._events.add(NAMES[type(told)], **write(told))
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
